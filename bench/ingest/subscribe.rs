//! The peer: a subscriber of bare transport, which counts messages and does nothing with them.
//!
//! `rumqttc` as it comes (3.1.1, or 5 as in our broker mode), which acknowledges each message as it is read. Upstream: mosquitto. Downstream: a file with the count, which the load generator
//! and the script read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use rumqttc::v5;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

type Failure = Box<dyn std::error::Error>;

/// `subscribe PORT COUNTER 4|5`: until it is killed.
pub(crate) fn main(arguments: &[String]) -> Result<(), Failure> {
    let [port, counter, version] = arguments else { return Err("subscribe PORT COUNTER 4|5".into()) };
    let mut counter = OpenOptions::new().create(true).truncate(false).write(true).open(counter)?;
    counter.write_all(&0u64.to_le_bytes())?;
    let port = port.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match version.as_str() {
        "4" => runtime.block_on(version_4(port, &counter)),
        _ => runtime.block_on(version_5(port, &counter)),
    }
}

/// Messages from one count in the file to the next: far fewer than the generator's bound on what is under way.
const COUNTED: u64 = 16;

struct Count<'a> {
    file: &'a File,
    messages: u64,
}

impl Count<'_> {
    fn note(&mut self) -> std::io::Result<()> {
        self.messages += 1;
        if self.messages.is_multiple_of(COUNTED) {
            self.file.write_all_at(&self.messages.to_le_bytes(), 0)?;
        }
        Ok(())
    }
}

async fn version_4(port: u16, file: &File) -> Result<(), Failure> {
    let mut options = MqttOptions::new("peer", "127.0.0.1", port);
    options.set_max_packet_size(2 << 20, 2 << 20).set_inflight(65_535);
    let (client, mut events) = AsyncClient::new(options, 1_024);
    client.subscribe("arterial/v1/+/+/+", QoS::AtLeastOnce).await?;
    let mut count = Count { file, messages: 0 };
    loop {
        if let Event::Incoming(Packet::Publish(_)) = events.poll().await? {
            count.note()?;
        }
    }
}

async fn version_5(port: u16, file: &File) -> Result<(), Failure> {
    let mut options = v5::MqttOptions::new("peer", "127.0.0.1", port);
    options.set_receive_maximum(Some(8_192)).set_max_packet_size(Some(2 << 20));
    let (client, mut events) = v5::AsyncClient::new(options, 1_024);
    client.subscribe("arterial/v1/+/+/+", v5::mqttbytes::QoS::AtLeastOnce).await?;
    let mut count = Count { file, messages: 0 };
    loop {
        if let v5::Event::Incoming(v5::mqttbytes::v5::Packet::Publish(_)) = events.poll().await? {
            count.note()?;
        }
    }
}
