//! Who is too slow, too much or too many; and how everything ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use web::{Front, Refusal, ServeConfig};

use crate::support::{OPERATOR, PATIENCE, Served, tokens};

/// Reads until the other side closes.
async fn rest_of(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is as good an end as any.
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an end").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_loses_its_connection() {
    let config = ServeConfig { head_wait: Duration::from_millis(200), ..ServeConfig::default() };
    let served = Served::start(Front::default(), config).await;
    let mut slow = served.connect().await;
    slow.write_all(b"GET /page HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").await.unwrap();
    rest_of(&mut slow).await;
    served.until_refused(Refusal::SlowHead, 1).await;
    // One that says nothing at all, and one that has asked and goes on saying nothing.
    let mut silent = served.connect().await;
    rest_of(&mut silent).await;
    let mut idle = served.connect().await;
    idle.write_all(b"GET /page HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    assert!(rest_of(&mut idle).await.ends_with("page\n"));
    assert_eq!(served.open_connections(), 0);
    let too_long = format!("X: {}\r\n", "x".repeat(200_000));
    assert_eq!(served.ask("GET /page", &too_long, "").await.status, 431);
    assert_eq!(served.get("/page", None).await.status, 200);
}

#[tokio::test]
async fn bodies_are_bounded_in_length_and_in_time() {
    let config = ServeConfig { body_bytes_max: 1_000, body_wait: Duration::from_millis(200), ..ServeConfig::default() };
    let served = Served::start(Front { tokens: tokens(), ..Front::default() }, config).await;
    let token = format!("Authorization: Bearer {OPERATOR}\r\n");
    let fits = served.ask("POST /api/v1/thing", &token, &"x".repeat(1_000)).await;
    assert_eq!((fits.status, fits.body.as_str()), (200, "changed 1000"));
    let long = served.ask("POST /api/v1/thing", &token, &"x".repeat(1_001)).await;
    assert_eq!((long.status, long.code().as_str()), (413, "body_too_large"));
    // Without saying how long it is.
    let mut chunked = served.connect().await;
    let head = format!("POST /api/v1/thing HTTP/1.1\r\nHost: x\r\n{token}Transfer-Encoding: chunked\r\n\r\n");
    chunked.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        if chunked.write_all(format!("64\r\n{}\r\n", "x".repeat(100)).as_bytes()).await.is_err() {
            break;
        }
    }
    let mut start = [0; 12];
    timeout(PATIENCE, chunked.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    // Begun and not gone on with.
    let mut slow = served.connect().await;
    let head = format!("POST /api/v1/thing HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 10\r\n\r\nabc");
    slow.write_all(head.as_bytes()).await.unwrap();
    timeout(PATIENCE, slow.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
    assert_eq!((served.refused(Refusal::BodyTooLarge), served.refused(Refusal::BodyTooSlow)), (2, 1));
    // Whoever may not come in need not send his body first.
    let mut stranger = served.connect().await;
    let head = "POST /api/v1/thing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n";
    stranger.write_all(head.as_bytes()).await.unwrap();
    timeout(PATIENCE, stranger.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 401");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let config = ServeConfig { write_wait: Duration::from_millis(200), ..ServeConfig::default() };
    let served = Served::start(Front::default(), config).await;
    let mut lazy = served.connect().await;
    lazy.write_all(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    served.until_refused(Refusal::SlowReader, 1).await;
    let mut bytes = Vec::new();
    timeout(PATIENCE, lazy.read_to_end(&mut bytes)).await.unwrap().ok();
    assert!(bytes.len() < 64 << 20, "it did not get all");
    assert_eq!(served.get("/page", None).await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let served = Served::start(Front::default(), ServeConfig { connections_max: 2, ..ServeConfig::default() }).await;
    let (mut first, second) = (served.connect().await, served.connect().await);
    first.write_all(b"GET /page HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    let mut begin = [0; 15];
    first.read_exact(&mut begin).await.unwrap();
    let mut third = served.connect().await;
    let said = rest_of(&mut third).await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\"busy\""), "{said:?}");
    assert_eq!((served.refused(Refusal::Busy), served.open_connections()), (1, 2));
    drop(second);
    let again = async {
        while served.open_connections() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
    assert_eq!(served.get("/page", None).await.status, 200);
}

#[tokio::test]
async fn the_end_waits_for_answers_and_not_for_ever() {
    let config = ServeConfig { close_wait: Duration::from_millis(300), ..ServeConfig::default() };
    let served = Served::start(Front::default(), config).await;
    // One idle, one that has begun a request, one that does not take its answer.
    let _idle = served.connect().await;
    let mut begun = served.connect().await;
    begun.write_all(b"GET /page HTTP/1.1\r\nHost: 127").await.unwrap();
    let mut lazy = served.connect().await;
    lazy.write_all(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    let mut first = [0; 1];
    lazy.read_exact(&mut first).await.unwrap();
    served.stop.cancel();
    timeout(PATIENCE, served.task).await.expect("it ends").unwrap().unwrap();
}

#[tokio::test]
async fn every_answer_has_the_headers_that_browsers_keep_to() {
    let served = Served::start(Front { tokens: tokens(), ..Front::default() }, ServeConfig::default()).await;
    let answers = [
        served.get("/page", None).await,
        served.get("/page", Some(OPERATOR)).await,
        served.get("/nothing", Some(OPERATOR)).await,
        served.get("/live", None).await,
        served.ask("GET /login", "", "").await,
        served.ask("POST /api/v1/thing", "", "x").await,
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [401, 200, 404, 200, 200, 401]);
    for answer in answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("permissions-policy", "geolocation=()"),
        ] {
            assert!(answer.header(name).is_some_and(|found| found.contains(value)), "{name}: {}", answer.head);
        }
        assert!(answer.header("strict-transport-security").is_none(), "not without TLS");
    }
}
