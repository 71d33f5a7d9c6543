//! One HTTP GET over a plain socket, enough for `/ready` and `/metrics` of our own server.
//!
//! Upstream: `live`. Downstream: the release binary. HTTP/1.0 on purpose: the answer then ends where the connection
//! ends, without chunks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest answer taken; a longer one is an error.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Status code and body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// # Errors
/// When nothing listens, `patience` passes without a byte, or the answer is not HTTP or longer than 64 MiB.
pub(crate) fn get(server: SocketAddr, path: &str, patience: Duration) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // In one piece: a server that answers early and closes would break the pipe for the rest.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(BODY_BYTES_MAX + 1).read_to_end(&mut answer)?;
    if answer.len() as u64 > BODY_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path} answers more than {BODY_BYTES_MAX} B")));
    }
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{path} does not answer in HTTP")))
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let head_len = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..head_len]).ok()?;
    let mut words = head.lines().next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    Some(Reply { status: words.next()?.parse().ok()?, body: answer[head_len + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn an_answer_is_split_at_the_empty_line() {
        let reply = parse(b"HTTP/1.0 503 Service Unavailable\r\nX: y\r\n\r\nno\r\n\r\nroom").expect("HTTP");
        assert_eq!((reply.status, reply.body.as_slice()), (503, b"no\r\n\r\nroom".as_slice()));
        for broken in [&b""[..], b"HTTP/1.1 200", b"220 smtp\r\n\r\n", b"HTTP/1.1 two\r\n\r\n"] {
            assert!(parse(broken).is_none(), "{}", String::from_utf8_lossy(broken));
        }
    }

    #[test]
    fn a_request_reaches_a_server() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nup").unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let reply = get(server, "/ready", Duration::from_secs(5)).expect("answered");
        assert_eq!((reply.status, reply.body.as_slice()), (200, b"up".as_slice()));
        let request = answering.join().unwrap();
        assert!(request.starts_with("GET /ready HTTP/1.0\r\n"), "{request}");
    }

    #[test]
    fn a_silent_server_is_given_up() {
        // The system completes the connection; nobody ever accepts it.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = get(listener.local_addr().unwrap(), "/", Duration::from_millis(50)).expect_err("silent").kind();
        assert!(matches!(refused, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{refused:?}");
    }
}
