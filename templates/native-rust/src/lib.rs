mod flexi;

use flexi::{RawRequest, RawResponse, Request, Response};

/// # Safety
/// Called by flexi, with a request that lives until `request_deinit`.
#[no_mangle]
pub unsafe extern "C" fn handle_request(request: *const RawRequest) -> *const RawResponse {
    flexi::serve(request, handle)
}

/// Answers one request. Several threads call it at once.
fn handle(request: &Request) -> Response {
    match request.path() {
        "/echo" => echo(request),
        "/sleep" => {
            // Other requests are answered meanwhile, on other threads.
            std::thread::sleep(std::time::Duration::from_millis(500));
            "slept\n".into()
        }
        "/fail" => panic!("asked to fail"),
        _ => hello(request),
    }
}

fn hello(request: &Request) -> Response {
    let name = request.header("x-name").unwrap_or(b"world");
    Response {
        headers: vec![("x-powered-by".into(), "Rust".into())],
        ..format!("Hello, {}, from {{name}}!\n", String::from_utf8_lossy(name)).as_str().into()
    }
}

/// The request as it came in.
fn echo(request: &Request) -> Response {
    let mut body = format!("{} {}\n", request.method, request.target).into_bytes();
    body.extend_from_slice(request.body);
    Response { body, ..Response::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_path_says_hello() {
        assert!(handle(&flexi::request("GET", "/", b"")).body.starts_with(b"Hello, world"));
    }

    #[test]
    fn echo_gives_the_request_back() {
        assert_eq!(handle(&flexi::request("PUT", "/echo?x=1", b"body")).body, b"PUT /echo?x=1\nbody");
    }
}
