//! A very small MQTT 5 server, which does what a test tells it to: acknowledge, keep silent, hang up, refuse.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A message as it came in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    pub topic: String,
    pub payload: Vec<u8>,
    pub received_ms: Option<String>,
    /// Counted from 0.
    pub connection: usize,
}

/// What the server does on one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Reason of the CONNACK; 0 lets in.
    pub connack: u8,
    /// Reason of every PUBACK; 0 is success.
    pub puback: u8,
    /// After so many messages it acknowledges no more.
    pub acks: usize,
    /// After so many messages it hangs up.
    pub hears: usize,
}

impl Manner {
    pub(crate) const KIND: Self = Self { connack: 0, puback: 0, acks: usize::MAX, hears: usize::MAX };
}

pub(crate) struct Peer {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Peer {
    /// Listens; the manners are for one connection after another, the last one for all that follow.
    pub(crate) async fn start(manners: Vec<Manner>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = heard.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let manner = manners[connection.min(manners.len() - 1)];
                // A client that hangs up in the middle is part of the game.
                serve(stream, manner, connection, &all).await.ok();
            }
        });
        Self { port, heard }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    connection: usize,
    all: &Mutex<Vec<Heard>>,
) -> std::io::Result<()> {
    let mut count = 0;
    loop {
        let head = stream.read_u8().await?;
        let body = body(&mut stream).await?;
        match head >> 4 {
            1 => stream.write_all(&[0x20, 3, 0, manner.connack, 0]).await?,
            3 => {
                count += 1;
                let (heard, packet) = publish(&body, connection);
                all.lock().unwrap().push(heard);
                if count <= manner.acks {
                    stream.write_all(&[0x40, 4, packet[0], packet[1], manner.puback, 0]).await?;
                }
                if count >= manner.hears {
                    return Ok(());
                }
            }
            12 => stream.write_all(&[0xd0, 0]).await?,
            _ => return Ok(()),
        }
    }
}

async fn body(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Takes a PUBLISH of QoS 1 apart; gives its packet id as well.
fn publish(body: &[u8], connection: usize) -> (Heard, [u8; 2]) {
    let text = |at: usize| {
        let length = usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
        (String::from_utf8(body[at + 2..at + 2 + length].to_vec()).unwrap(), at + 2 + length)
    };
    let (topic, at) = text(0);
    let packet = [body[at], body[at + 1]];
    let properties = usize::from(body[at + 2]);
    let begin = at + 3;
    let received_ms = (properties > 0).then(|| {
        assert_eq!(body[begin], 0x26, "the only property is a user property");
        let (name, at) = text(begin + 1);
        assert_eq!(name, sim::publish::RECEIVED_MS);
        text(at).0
    });
    (Heard { topic, payload: body[begin + properties..].to_vec(), received_ms, connection }, packet)
}
