import { ERRNO, type ArgumentTest } from './program.ts'

/**
 * Calls that no function needs, and that have opened sandboxes before: administration of the machine, other processes' memory, new
 * namespaces, kernel interfaces with a history of faults. They fail with EPERM.
 */
export const DENIED = `
  acct add_key adjtimex bpf chroot clock_adjtime clock_settime create_module delete_module fanotify_init
  finit_module fsconfig fsmount fsopen fspick get_kernel_syms init_module io_uring_enter io_uring_register
  io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages
  modify_ldt mount mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree
  open_tree_attr perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev
  ptrace query_module quotactl quotactl_fd reboot request_key set_mempolicy set_mempolicy_home_node
  setdomainname sethostname setns settimeofday swapoff swapon sysfs syslog umount2 unshare uselib
  userfaultfd ustat vhangup vserver
`
  .trim()
  .split(/\s+/)

/** Of linux/sched.h: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACES = [
  0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
]
const CLONE_THREAD = 0x0001_0000

/** Of sys/socket.h. */
const FAMILY = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const

/** PER_LINUX, PER_LINUX32, both with UNAME26, and the question for what it is. Others turn off protections of memory. */
const PERSONALITIES = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff]

/** TIOCSTI types into the terminal of whoever started us, TIOCLINUX pastes into a console. Of asm-generic/ioctls.h. */
const TERMINAL_REQUESTS = [0x5412, 0x541c]

/** Calls that depend on what is asked of them. */
export const TESTED: Readonly<Record<string, readonly ArgumentTest[]>> = {
  clone: [{ argument: 0, is: 'anyBit', values: NEW_NAMESPACES, errno: ERRNO.EPERM }],
  ioctl: [{ argument: 1, is: 'equal', values: TERMINAL_REQUESTS, errno: ERRNO.EPERM }],
  personality: [{ argument: 0, is: 'unequal', values: PERSONALITIES, errno: ERRNO.EPERM }],
  socket: [{ argument: 0, is: 'unequal', values: Object.values(FAMILY), errno: ERRNO.EAFNOSUPPORT }],
}

/** Its flags are in memory, where no filter sees them. A C library that is told that it does not exist takes `clone`. */
export const UNKNOWABLE = ['clone3']

/** Nothing starts without these: bwrap's own first process waits, under the same filter, for the function to end. */
export const INDISPENSABLE = ['execve', 'exit_group', 'exit', 'rt_sigreturn', 'wait4']

/** A deny rule for the whole of what people mean by a name. */
export interface DenyGroup {
  /** Fail whatever is asked of them. */
  readonly calls: readonly string[]
  /** Fail when a test holds. */
  readonly tests: Readonly<Record<string, readonly ArgumentTest[]>>
}

// A C library's fork() is the call `clone`, and so is a thread: they differ in a flag.
const FORK: DenyGroup = {
  calls: ['fork', 'vfork'],
  tests: { clone: [{ argument: 0, is: 'noBit', values: [CLONE_THREAD], errno: ERRNO.EPERM }] },
}

/** A function that may not reach the network still has its Unix socket. */
const NETWORK: DenyGroup = {
  calls: [],
  tests: { socket: [{ argument: 0, is: 'unequal', values: [FAMILY.unix], errno: ERRNO.EPERM }] },
}

export const DENY_GROUPS: ReadonlyMap<string, DenyGroup> = new Map([
  ['fork', FORK],
  ['vfork', FORK],
  ['@fork', FORK],
  ['@network', NETWORK],
])

/** What a group's name stands for in a list of calls that are allowed. */
export const ALLOW_GROUPS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    '@fork': 'clone fork vfork wait4 waitid kill',
    '@network': `accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg
      recvmsg sendfile sendmmsg sendmsg sendto setsockopt shutdown socket socketpair`,
    '@files': `access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat
      faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
      fgetxattr flock fstat fstatfs fsync ftruncate getcwd getdents getdents64 getxattr ioctl inotify_add_watch
      inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr lseek lstat mkdir
      mkdirat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
      readahead readlink readlinkat readv rename renameat renameat2 rmdir splice stat statfs statx symlink
      symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice
      write writev`,
    // What a C program, Node and workerd do before their first request, and what runs them after.
    '@basic': `arch_prctl brk capget clock_getres clock_gettime clock_nanosleep clone epoll_create epoll_create1
      epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve exit exit_group futex futex_wait
      futex_waitv futex_wake get_robust_list getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp
      getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid gettimeofday
      getuid kill madvise membarrier memfd_create mincore mlock mmap mprotect mremap msync munlock munmap nanosleep
      pause pkey_alloc pkey_free pkey_mprotect poll ppoll prctl prlimit64 pselect6 restart_syscall rseq
      rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
      sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
      sched_getscheduler sched_setaffinity sched_setscheduler sched_yield select set_robust_list
      set_tid_address setitimer setpgid setsid sigaltstack sysinfo tgkill time timer_create timer_delete
      timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill
      uname`,
  }).map(([name, calls]) => [name, calls.trim().split(/\s+/)]),
)
