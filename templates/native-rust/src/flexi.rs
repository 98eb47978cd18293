//! The interface between flexi and a native library; the same as flexi.h. See docs/native.md of flexi.

use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::null;

#[repr(C)]
pub struct RawHeader {
    name: *const u8,
    name_len: usize,
    value: *const u8,
    value_len: usize,
}

impl RawHeader {
    fn of(name: &str, value: &str) -> Self {
        RawHeader {
            name: name.as_ptr(),
            name_len: name.len(),
            value: value.as_ptr(),
            value_len: value.len(),
        }
    }
}

#[repr(C)]
pub struct RawRequest {
    target: *const u8,
    target_len: usize,
    method: *const u8,
    method_len: usize,
    body: *const u8,
    body_len: usize,
    headers: *const RawHeader,
    headers_len: usize,
}

#[repr(C)]
pub struct RawResponse {
    body: *const u8,
    body_len: usize,
    headers: *const RawHeader,
    headers_len: usize,
    status: usize,
    reason: *const u8,
    reason_len: usize,
}

const _: () = assert!(std::mem::size_of::<RawHeader>() == 32);
const _: () = assert!(std::mem::size_of::<RawRequest>() == 64);
const _: () = assert!(std::mem::size_of::<RawResponse>() == 56);

/// One request. It borrows flexi's memory, and cannot outlive the call.
pub struct Request<'a> {
    pub method: &'a str,
    /// Path and query as sent.
    pub target: &'a str,
    pub body: &'a [u8],
    headers: &'a [RawHeader],
}

impl<'a> Request<'a> {
    /// The target up to its query.
    pub fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or("")
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every header in the order sent.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers.iter().map(|field| unsafe {
            (
                text(field.name, field.name_len),
                bytes(field.value, field.value_len),
            )
        })
    }
}

#[derive(Default)]
pub struct Response {
    /// 0 is 200.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a handler gives back besides its response: any error fails the request.
pub type Answered = Result<(), Box<dyn std::error::Error>>;

/// A response and the pointers into it.
struct Held {
    _response: Response,
    _headers: Vec<RawHeader>,
    raw: RawResponse,
}

thread_local! {
    static HELD: RefCell<Option<Box<Held>>> = const { RefCell::new(None) };
}

/// Runs a handler. An error, or a panic, is status 500, unless the handler has set another, with the body as far as it came and no
/// headers. A panic may not leave a C function.
///
/// # Safety
/// `request` is what flexi gave to `handle_request`, on this thread.
pub unsafe fn serve(
    request: *const RawRequest,
    handler: fn(&Request, &mut Response) -> Answered,
) -> *const RawResponse {
    let raw = &*request;
    let request = Request {
        method: text(raw.method, raw.method_len),
        target: text(raw.target, raw.target_len),
        body: bytes(raw.body, raw.body_len),
        headers: if raw.headers_len == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(raw.headers, raw.headers_len)
        },
    };
    let mut response = Response::default();
    let answered = catch_unwind(AssertUnwindSafe(|| handler(&request, &mut response)));
    if !matches!(answered, Ok(Ok(()))) {
        if matches!(response.status, 0 | 200) {
            response.status = 500;
        }
        response.headers.clear();
    }
    hold(response)
}

fn hold(response: Response) -> *const RawResponse {
    let headers: Vec<RawHeader> = response
        .headers
        .iter()
        .map(|(name, value)| RawHeader::of(name, value))
        .collect();
    let raw = RawResponse {
        body: response.body.as_ptr(),
        body_len: response.body.len(),
        headers: headers.as_ptr(),
        headers_len: headers.len(),
        status: response.status.into(),
        reason: null(),
        reason_len: 0,
    };
    let held = Box::new(Held {
        _response: response,
        _headers: headers,
        raw,
    });
    HELD.with(|slot| &slot.borrow_mut().insert(held).raw as *const RawResponse)
}

/// flexi calls this on the same thread once it has copied the response.
#[no_mangle]
pub extern "C" fn request_deinit() {
    HELD.with(|slot| slot.borrow_mut().take());
}

unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(start, length)
    }
}

/// What is no UTF-8 becomes empty; ask for bytes where that matters.
unsafe fn text<'a>(start: *const u8, length: usize) -> &'a str {
    std::str::from_utf8(bytes(start, length)).unwrap_or("")
}

/// Calls a handler as flexi would, without flexi.
#[cfg(test)]
pub fn ask(
    handler: fn(&Request, &mut Response) -> Answered,
    headers: &[(&str, &str)],
) -> (Answered, Response) {
    let headers: Vec<RawHeader> = headers
        .iter()
        .map(|(name, value)| RawHeader::of(name, value))
        .collect();
    let mut response = Response::default();
    let request = Request {
        method: "GET",
        target: "/",
        body: b"",
        headers: &headers,
    };
    (handler(&request, &mut response), response)
}
