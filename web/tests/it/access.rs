//! Who is let in: by token, by cookie, by certificate, by the name that he asks for.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use web::{Front, Refusal, ServeConfig};

use crate::support::{Answer, OPERATOR, Papers, READER, Served, exchange, tokens, whole};

async fn start(front: Front) -> Served {
    Served::start(front, ServeConfig::default()).await
}

fn with_tokens() -> Front {
    Front { tokens: tokens(), ..Front::default() }
}

#[tokio::test]
async fn a_token_opens_what_its_scope_says_and_nothing_else_does() {
    let served = start(with_tokens()).await;
    let refused = served.get("/page", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "no_token"));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"arterial\""));
    let wrong = served.get("/page", Some("arterial_nobody_has_this")).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "wrong_token"));
    assert!(!wrong.body.contains("nobody_has_this"));
    let basic = served.ask("GET /page", "Authorization: Basic Zm9vOmJhcg==\r\n", "").await;
    assert_eq!(basic.code(), "wrong_token");
    // Also for what is not there: whoever may not read does not learn what there is.
    assert_eq!(served.get("/api/v1/nothing", None).await.status, 401);

    assert_eq!(served.get("/page", Some(READER)).await.body, "page\n");
    assert_eq!(served.get("/page", Some(OPERATOR)).await.body, "page\n");
    assert_eq!(served.get("/live", None).await.status, 200);
    let change = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = format!("{method} /api/v1/thing");
        let by_reader = served.ask(&request, &change(READER), "abc").await;
        assert_eq!((by_reader.status, by_reader.code().as_str()), (403, "not_allowed"), "{method}");
        assert!(by_reader.body.contains("`reader`"));
        assert_eq!(served.ask(&request, &change(OPERATOR), "abc").await.body, "changed 3", "{method}");
        assert_eq!(served.ask(&request, "", "abc").await.status, 401, "{method}");
    }
    assert_eq!(served.ask("POST /live", "", "").await.status, 401, "only looking is for everybody");
    let page = served.page();
    for (reason, count) in [("no_token", 7), ("wrong_token", 2), ("not_allowed", 4)] {
        let line = format!("arterial_http_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
}

#[tokio::test]
async fn without_tokens_everybody_reads_and_nobody_changes_anything() {
    let served = start(Front::default()).await;
    assert_eq!(served.get("/page", None).await.body, "page\n");
    let refused = served.ask("POST /api/v1/thing", "", "abc").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not_allowed"));
    assert!(refused.body.contains("--http-tokens"), "{}", refused.body);
    // Opened to readers on purpose: tokens are for what changes something.
    let served = start(Front { open: true, ..with_tokens() }).await;
    assert_eq!(served.get("/page", None).await.body, "page\n");
    assert_eq!(served.ask("POST /api/v1/thing", "", "abc").await.status, 401);
    let token = format!("Authorization: Bearer {OPERATOR}\r\n");
    assert_eq!(served.ask("POST /api/v1/thing", &token, "abc").await.status, 200);
}

#[tokio::test]
async fn a_browser_gets_in_by_the_form_and_out_again() {
    let served = start(with_tokens()).await;
    let html = "Accept: text/html,application/xhtml+xml\r\n";
    let sent_on = served.ask("GET /page", html, "").await;
    assert_eq!((sent_on.status, sent_on.header("location")), (303, Some("/login")));
    assert_eq!(served.ask("GET /api/v1/thing", html, "").await.status, 401, "a script gets no form");
    let form = served.ask("GET /login", html, "").await;
    assert!(form.status == 200 && form.body.contains("<form") && !form.body.contains("<script"));
    assert!(form.header("content-security-policy").unwrap().contains("form-action 'self'"));

    let wrong = served.ask("POST /login", "", "token=arterial_wrong_wrong").await;
    assert!(wrong.status == 401 && wrong.body.contains("nobody has this token") && !wrong.body.contains("wrong_wrong"));
    assert_eq!(served.refused(Refusal::WrongToken), 1);
    let right = served.ask("POST /login", "", &format!("x=1&token={OPERATOR}")).await;
    assert_eq!((right.status, right.header("location")), (303, Some("/")));
    let cookie = right.header("set-cookie").unwrap();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let cookie = format!("Cookie: theme=dark; {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(served.ask("GET /page", &cookie, "").await.body, "page\n");
    // A page of another origin can make a browser ask, but not hide who it is.
    let foreign = format!("{cookie}Origin: https://evil.example\r\n");
    let refused = served.ask("POST /api/v1/thing", &foreign, "abc").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "foreign_origin"));
    let own = format!("{cookie}Origin: http://{}\r\n", served.address);
    assert_eq!(served.ask("POST /api/v1/thing", &own, "abc").await.status, 200);
    let login = served.ask("POST /login", "Origin: https://evil.example\r\n", &format!("token={OPERATOR}")).await;
    assert_eq!(login.code(), "foreign_origin");

    let out = served.ask("POST /logout", &cookie, "").await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    // Where nobody is asked, there is nothing to log in to.
    let open = start(Front::default()).await;
    assert_eq!(open.ask("GET /login", html, "").await.header("location"), Some("/"));
}

#[tokio::test]
async fn guesses_are_slowed_down_and_counted() {
    let served = start(with_tokens()).await;
    let mut codes = Vec::new();
    for n in 0..30 {
        let answer = served.get("/page", Some(&format!("arterial_guess_number_{n}"))).await;
        if answer.status == 429 {
            let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds));
        }
        codes.push(answer.code());
    }
    assert!(codes[..20].iter().all(|code| code == "wrong_token"), "{codes:?}");
    let slowed = codes.iter().filter(|code| *code == "too_many_attempts").count() as u64;
    assert!(slowed > 0, "{codes:?}");
    assert_eq!(served.refused(Refusal::TooManyAttempts), slowed);
    assert_eq!(served.refused(Refusal::WrongToken), 30 - slowed);
    assert_eq!(served.get("/live", None).await.status, 200, "what is for everybody still is");
}

#[tokio::test]
async fn another_name_for_this_machine_and_a_socket_of_another_page_are_refused() {
    let served = start(Front { own_name_only: true, ..Front::default() }).await;
    for (host, status) in [("127.0.0.1", 200), ("localhost:8080", 200), ("[::1]", 200), ("evil.example", 421)] {
        assert_eq!(served.ask("GET /page", &format!("Host: {host}\r\n"), "").await.status, status, "{host}");
    }
    assert_eq!(served.refused(Refusal::ForeignHost), 1);
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://evil.example\r\n";
    assert_eq!(served.ask("GET /page", socket, "").await.code(), "foreign_origin");
}

#[tokio::test]
async fn tokens_are_exchanged_while_it_runs() {
    let served = start(with_tokens()).await;
    assert_eq!(served.get("/page", Some(READER)).await.status, 200);
    let other = web::Tokens::default().with("other", "arterial_other_0123456789", web::Scope::Read).unwrap();
    served.front.send_replace(Arc::new(Front { tokens: Arc::new(other), ..Front::default() }));
    assert_eq!(served.get("/page", Some(READER)).await.status, 401);
    assert_eq!(served.get("/page", Some("arterial_other_0123456789")).await.status, 200);
}

async fn by_tls(served: &Served, config: Arc<rustls::ClientConfig>) -> std::io::Result<Answer> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(config).connect(name, served.connect().await).await?;
    let head = format!("Authorization: Bearer {READER}\r\nHost: city.example\r\n");
    let mut stream = stream;
    // A refused certificate shows with the first byte that is read, in TLS 1.3.
    tokio::io::AsyncWriteExt::flush(&mut stream).await?;
    let request = whole("", "GET /page", &head, "");
    let answer = tokio::spawn(async move { exchange(stream, &request).await }).await;
    answer.map_err(|_| std::io::ErrorKind::ConnectionReset.into())
}

#[tokio::test]
async fn certificates_are_shown_asked_for_and_exchanged_while_it_runs() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    let served = start(Front { tls: Some(papers.server(false)), ..with_tokens() }).await;
    let answer = by_tls(&served, papers.client(false)).await.unwrap();
    assert_eq!(answer.body, "page\n");
    assert!(answer.header("strict-transport-security").is_some());
    // A client of another authority turns away; one without TLS is no client.
    assert!(by_tls(&served, strangers.client(false)).await.is_err());
    let mut plain = served.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET /page HTTP/1.1\r\n\r\n").await.unwrap();
    served.until_refused(Refusal::Tls, 2).await;

    served.front.send_replace(Arc::new(Front { tls: Some(strangers.server(true)), ..with_tokens() }));
    assert!(by_tls(&served, papers.client(false)).await.is_err(), "the old certificate is gone");
    assert!(by_tls(&served, strangers.client(false)).await.is_err(), "a client certificate is asked for");
    assert_eq!(by_tls(&served, strangers.client(true)).await.unwrap().body, "page\n");
}
