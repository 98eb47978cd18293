// The interface has more than this example uses.
#[allow(dead_code)]
mod flexi;

use flexi::{Answered, RawRequest, RawResponse, Request, Response};

/// # Safety
/// Called by flexi, with a request that lives until `request_deinit`.
#[no_mangle]
pub unsafe extern "C" fn handle_request(request: *const RawRequest) -> *const RawResponse {
    flexi::serve(request, handle)
}

/// Answers one request. Several threads call it at once.
fn handle(request: &Request, response: &mut Response) -> Answered {
    if request
        .header("host")
        .is_some_and(|host| host.starts_with(b"iam"))
    {
        response.body = b"iam response".to_vec();
        return Ok(());
    }
    if let Some(value) = request.header("x-slow") {
        // Other requests are answered meanwhile, on other threads.
        let milliseconds = number(value, u32::MAX.into()).unwrap_or(1000);
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        response.body = b"i am slow\n\n".to_vec();
        return Ok(());
    }
    if let Some(text) = request.header("x-log-this") {
        response.body = text.to_vec();
    }
    if let Some(value) = request.header("x-status") {
        response.status = number(value, 1023).unwrap_or(500) as u16;
    }
    if request.header("x-throw").is_some() {
        return Err("asked to fail".into());
    }
    let count = format!(" {}", request.headers().count());
    response.body.extend_from_slice(count.as_bytes());
    response.headers.push(("X-custom-foo".into(), "bar".into()));
    Ok(())
}

/// A header's value as a number up to `most`. It is bytes, which need not be text.
fn number(value: &[u8], most: u64) -> Option<u64> {
    std::str::from_utf8(value)
        .ok()?
        .parse()
        .ok()
        .filter(|number| *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: (&str, &str) = ("x-log-this", "I am a teapot");
    const FAIL: (&str, &str) = ("X-THROW", "1");

    #[test]
    fn counts_headers() {
        let (answered, response) = flexi::ask(handle, &[("Accept", "*/*")]);
        assert!(answered.is_ok());
        assert_eq!(response.body, b" 1");
        assert_eq!(
            response.headers,
            [("X-custom-foo".to_string(), "bar".to_string())]
        );
    }

    #[test]
    fn the_host_comes_first() {
        let (_, response) = flexi::ask(handle, &[FAIL, ("Host", "iam.example")]);
        assert_eq!(response.body, b"iam response");
    }

    #[test]
    fn fails_with_what_was_logged_and_its_own_status() {
        let (answered, response) = flexi::ask(handle, &[LOG, FAIL, ("x-status", "418")]);
        assert!(answered.is_err());
        assert_eq!(
            (response.status, response.body),
            (418, b"I am a teapot".to_vec())
        );
    }

    #[test]
    fn a_status_is_a_number() {
        assert_eq!(flexi::ask(handle, &[("x-status", "teapot")]).1.status, 500);
    }
}
