//! Replay: a recording comes out as it went in.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use events::foreign::{Format, ReadError, Record, read};
use events::{Event, LonLat, Position, Reason, Reject, TimeMs};
use sim::{PublishConfig, Publisher, ReplayConfig, ReplayError, ReplayProgress, ReplayReport, Speed, replay};
use tokio_util::sync::CancellationToken;

use crate::peer::{Heard, Manner, Peer};

fn fix(source: &str, ms: i64) -> Record {
    let at = LonLat::new(11.0, 44.0).unwrap();
    let (source, time) = (source.to_owned(), TimeMs(ms));
    Record::Event(Event::Position(Position {
        source,
        seq: None,
        time,
        at,
        speed: None,
        heading: None,
        edge: None,
        journey: None,
    }))
}

fn fast(format: &Format) -> ReplayConfig {
    ReplayConfig { speed: Speed::Max, ..ReplayConfig::new("test", format) }
}

/// Replays to a kind server, and gives what it heard.
async fn replayed(
    records: impl Iterator<Item = Result<Record, ReadError>> + Send,
    config: ReplayConfig,
) -> (Result<ReplayReport, ReplayError>, Vec<Heard>) {
    let peer = Peer::start(vec![Manner::KIND]).await;
    let mut publisher = Publisher::connect(PublishConfig::new("127.0.0.1", peer.port, "test")).await.unwrap();
    let progress = ReplayProgress::default();
    let report = replay(records, config, &mut publisher, &progress, CancellationToken::new()).await;
    let sent = publisher.finish().await.unwrap();
    assert_eq!(sent.acked, progress.published());
    (report, peer.heard())
}

#[tokio::test]
async fn messages_keep_topic_bytes_and_receive_time_in_file_order() {
    let message = |i: i64| Record::Message {
        topic: format!("/hfp/v2/{i}"),
        payload: vec![0, 255, i as u8],
        received: Some(TimeMs(1_000 - i)),
    };
    let refusal = Record::Unreadable { line: 7, reject: Reject::whole(Reason::Malformed, "x"), raw: Vec::new() };
    let records = vec![Ok(message(1)), Ok(refusal), Ok(message(2))];
    let (report, heard) = replayed(records.into_iter(), fast(&Format::Hfp)).await;
    let report = report.unwrap();
    assert_eq!((report.messages, report.events, report.unreadable), (2, 0, 1));
    assert_eq!(report.unreadable_lines[0].0, 7);
    assert_eq!((report.first, report.last), (Some(TimeMs(999)), Some(TimeMs(998))));
    for (heard, i) in heard.iter().zip([1, 2]) {
        assert_eq!(heard.topic, format!("/hfp/v2/{i}"));
        assert_eq!(heard.payload, [0, 255, i as u8]);
        assert_eq!(heard.received_ms, Some((1_000 - i).to_string()));
    }
}

#[tokio::test]
async fn observations_are_sorted_cut_and_decodable() {
    let csv = Format::SumoFcd;
    let records = [fix("b", 3_000), fix("b", 5_000), fix("a", 1_000), fix("a", 4_000), fix("a", 2_000)];
    let config = ReplayConfig { from: Some(TimeMs(2_000)), to: Some(TimeMs(5_000)), sort_by_time: true, ..fast(&csv) };
    let (report, heard) = replayed(records.iter().cloned().map(Ok), config.clone()).await;
    let report = report.unwrap();
    assert_eq!((report.events, report.left_out), (3, 2));
    let mut fates = Vec::new();
    for heard in &heard {
        events::codec::decode(&heard.topic, &heard.payload, &mut fates);
    }
    let said: Vec<(String, i64)> =
        fates.into_iter().map(|f| f.unwrap()).map(|e| (e.source().to_owned(), e.time().0)).collect();
    assert_eq!(said, [("a".into(), 2_000), ("b".into(), 3_000), ("a".into(), 4_000)]);
    assert_eq!(heard[0].received_ms.as_deref(), Some("2000"));

    let few = ReplayConfig { sorted_records_max: 4, ..config };
    let (report, heard) = replayed(records.iter().cloned().map(Ok), few).await;
    assert!(matches!(report, Err(ReplayError::TooManyToSort { max: 4 })), "{report:?}");
    assert!(heard.is_empty());
}

#[tokio::test]
async fn what_came_before_a_torn_end_is_published() {
    let torn = || ReadError::Truncated { line: 2, byte: 9, detail: "x".into() };
    let (report, heard) = replayed(vec![Ok(fix("a", 1)), Err(torn())].into_iter(), fast(&Format::Hfp)).await;
    assert!(matches!(report.unwrap().broken, Some(ReadError::Truncated { .. })));
    assert_eq!(heard.len(), 1);
    let (report, _) = replayed(vec![Err(torn())].into_iter(), fast(&Format::Hfp)).await;
    assert!(matches!(report, Err(ReplayError::Read(_))), "{report:?}");
}

#[tokio::test]
async fn a_replay_keeps_its_timing() {
    let records = [fix("a", 0), fix("a", 30_000), fix("a", 20_000), fix("a", 60_000)];
    let config = ReplayConfig { speed: Speed::RealTime(100.0), ..fast(&Format::SumoFcd) };
    let began = tokio::time::Instant::now();
    let (report, heard) = replayed(records.into_iter().map(Ok), config).await;
    assert_eq!((report.unwrap().events, heard.len()), (4, 4));
    assert!(began.elapsed().as_millis() >= 600, "60 s at 100 times took {:?}", began.elapsed());
}

#[tokio::test]
async fn helsinki_comes_out_as_it_was_recorded() {
    let Some(data) = crate::recordings() else { return };
    let folder = data.join("helsinki-hfp");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.to_string_lossy().ends_with(".hfp.dump"));
    files.sort();
    assert!(!files.is_empty());
    let mut total = 0;
    for file in files {
        let open = || read(&Format::Hfp, Box::new(BufReader::new(File::open(&file).unwrap())));
        let expected: Vec<(String, Vec<u8>)> = open()
            .filter_map(|r| match r.unwrap() {
                Record::Message { topic, payload, .. } => Some((topic, payload)),
                Record::Event(_) | Record::Unreadable { .. } => None,
            })
            .collect();
        let (report, heard) = replayed(open(), fast(&Format::Hfp)).await;
        let report = report.unwrap();
        let heard: Vec<(String, Vec<u8>)> = heard.into_iter().map(|h| (h.topic, h.payload)).collect();
        assert!(heard == expected, "{}: what came out differs", file.display());
        total += report.messages + report.unreadable;
    }
    println!("{total} lines replayed");
    assert_eq!(total, 1_177, "the data folder's README counts 1,177 lines");
}
