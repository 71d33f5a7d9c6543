//! A wire between a subscriber and its broker that can be cut, also so that only the subscriber notices.
//!
//! Upstream: a broker. Downstream: ingest in broker mode. Each connection has two threads; a cut ends them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Both ends of one connection.
struct Pair {
    subscriber: TcpStream,
    broker: TcpStream,
}

pub(crate) struct Wire {
    /// Where the subscriber connects.
    pub(crate) address: SocketAddr,
    /// Since the last cut.
    connections: Arc<Mutex<Vec<Pair>>>,
    /// The brokers' ends of connections that it was not told of: as many as there are cuts, open until the test ends.
    kept: Vec<TcpStream>,
}

impl Wire {
    /// A wire to `broker`.
    pub(crate) fn to(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Pair>>>::default());
        let made = Arc::clone(&connections);
        // Ends with the process: nobody connects once the test is over.
        std::thread::spawn(move || {
            for subscriber in listener.incoming() {
                let Ok(subscriber) = subscriber else { return };
                let Ok(broker) = TcpStream::connect(broker) else { continue };
                forward(subscriber.try_clone().unwrap(), broker.try_clone().unwrap());
                forward(broker.try_clone().unwrap(), subscriber.try_clone().unwrap());
                made.lock().unwrap().push(Pair { subscriber, broker });
            }
        });
        Self { address, connections, kept: Vec::new() }
    }

    /// Cuts all connections; what is under way is gone. The broker notices too, or takes the subscriber to be there
    /// until it comes again.
    pub(crate) fn cut(&mut self, broker_notices: bool) {
        for pair in self.connections.lock().unwrap().drain(..) {
            // Either end may be closed already.
            let _closed = pair.subscriber.shutdown(Shutdown::Both);
            if broker_notices {
                let _closed = pair.broker.shutdown(Shutdown::Both);
            } else {
                self.kept.push(pair.broker);
            }
        }
    }
}

/// What comes from one end goes to the other until one of them is gone.
fn forward(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut chunk = [0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            if to.write_all(&chunk[..read]).is_err() {
                return;
            }
        }
    });
}
