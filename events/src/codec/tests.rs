//! Every message has a fate, whatever its topic and bytes.

use super::*;
use proptest::prelude::*;

fn reasons(topic: &str, payload: &[u8]) -> Vec<Option<Reason>> {
    let mut out = Vec::new();
    decode(topic, payload, &mut out);
    out.iter().map(|fate| fate.as_ref().err().map(|refused| refused.reject.reason)).collect()
}

const POSITION: &str = "arterial/v1/demo/position/bus-1";

#[test]
fn the_topic_chooses_the_adapter() {
    let ours = br#"{"ts_ms":1,"lon_deg":11.3,"lat_deg":44.5}"#;
    let hfp = br#"{"VP":{"tst":"2024-02-13T16:33:00.005Z","lat":60.2,"long":24.9}}"#;
    let hfp_topic = "/hfp/v2/deadrun/ongoing/vp/bus/0018/01029";
    assert_eq!(reasons(POSITION, ours), [None]);
    assert_eq!(reasons(hfp_topic, hfp), [None]);
    assert_eq!(reasons(POSITION, hfp), [Some(Reason::MissingField)]);
    assert_eq!(reasons(hfp_topic, ours), [Some(Reason::Malformed)]);
    for stranger in ["", "hfp/v2/journey/ongoing/vp/bus/0018/01029", "/hfp/v1/a/b/c/d/e/f", "arterial/v1/demo/heat/a"] {
        assert_eq!(reasons(stranger, ours), [Some(Reason::UnknownTopic)], "{stranger}");
    }
}

#[test]
fn odd_bytes_have_one_reason_each_and_are_kept() {
    let deep = "[".repeat(100_000);
    let large = vec![b' '; MESSAGE_BYTES_MAX + 1];
    let huge_number = format!("{{\"ts_ms\":1,\"lon_deg\":{},\"lat_deg\":44.5}}", "9".repeat(400));
    for (payload, reason) in [
        (&b""[..], Reason::Malformed),
        (b"{\"ts_ms\":\xff}", Reason::NotUtf8),
        (deep.as_bytes(), Reason::Malformed),
        (&large, Reason::WrongSize),
        (huge_number.as_bytes(), Reason::OutOfRange),
        (b"{\"ts_ms\":1e999,\"lon_deg\":11.3,\"lat_deg\":44.5}", Reason::OutOfRange),
        (b"\"text\"", Reason::Malformed),
        (b"{} {}", Reason::Malformed),
        (b"[]", Reason::WrongSize),
    ] {
        let mut out = Vec::new();
        decode(POSITION, payload, &mut out);
        let [Err(refused)] = &out[..] else { panic!("{out:?}") };
        assert_eq!(refused.reject.reason, reason, "{}", refused.reject);
        assert_eq!(refused.payload, payload);
    }
    let just_fits = [&vec![b' '; MESSAGE_BYTES_MAX - 2][..], b"{}"].concat();
    assert_eq!(reasons(POSITION, &just_fits), [Some(Reason::MissingField)]);
}

/// Objects with our field names and values that are right, wrong or odd.
fn nearly_ours() -> impl Strategy<Value = (String, usize)> {
    let names = [
        "source",
        "seq",
        "ts_ms",
        "ts",
        "lon_deg",
        "lat_deg",
        "speed_mps",
        "heading_deg",
        "edge",
        "start_ms",
        "end_ms",
        "count",
        "occupancy",
        "phase",
        "state",
        "VP",
        "tst",
        "lat",
        "long",
        "spd",
        "hdg",
    ];
    let values = [
        "null",
        "0",
        "-1",
        "1",
        "5.0",
        "1e300",
        "1e999",
        "-0.0",
        "360",
        "44.5",
        "18446744073709551615",
        "18446744073709551616",
        "\"\"",
        "\"red\"",
        "\"gw.1\"",
        "\"2024-02-13T16:33:00Z\"",
        "{}",
        "[]",
        "true",
        r#"{"id":"a","pos_m":1}"#,
        r#"{"lat":60.1,"long":24.9,"tsi":1}"#,
        r#""\ud83d\ude00""#,
    ];
    let pair = (prop::sample::select(names.to_vec()), prop::sample::select(values.to_vec()));
    let object = prop::collection::vec(pair, 0..9).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    });
    prop::collection::vec(object, 1..5).prop_map(|objects| match &objects[..] {
        [one] => (one.clone(), 1),
        several => (format!("[{}]", several.join(",")), several.len()),
    })
}

const TOPICS: [&str; 5] = [
    POSITION,
    "arterial/v1/demo/detector/gw",
    "arterial/v1/demo/signal/gw",
    "/hfp/v2/journey/ongoing/vp/bus/0018/01029/5520/1/Myyrmäki/17:35/4150208/5/60;24/28/65/93",
    "/hfp/v2/journey",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_on_any_topic_have_fates(payload: Vec<u8>, topic: String, known in prop::sample::select(TOPICS.to_vec())) {
        for topic in [topic.as_str(), known] {
            let mut out = Vec::new();
            decode(topic, &payload, &mut out);
            prop_assert_eq!(out.len(), 1);
        }
    }

    #[test]
    fn any_nearly_right_message_has_one_fate_for_each_element(
        (text, elements) in nearly_ours(),
        topic in prop::sample::select(TOPICS.to_vec()),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut out = Vec::new();
        decode(topic, text.as_bytes(), &mut out);
        let elements = if topic.starts_with("arterial") { elements } else { 1 };
        prop_assert_eq!(out.len(), elements);
        // Cut off anywhere, it is refused as one.
        out.clear();
        let cut = &text.as_bytes()[..cut.index(text.len())];
        decode(topic, cut, &mut out);
        prop_assert!(matches!(&out[..], [Err(refused)] if refused.payload == cut), "{out:?}");
    }
}
