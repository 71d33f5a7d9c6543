//! Rules as an operator says them, and messages that they decide about.

use super::*;
use crate::event::Event;

fn fates(rules: &[&str], topic: &str, payload: &[u8]) -> Vec<Fate> {
    let mut out = Vec::new();
    Rules::parse(rules.iter().copied()).unwrap().decode(topic, payload, &mut out);
    out
}

fn reasons(rules: &[&str], topic: &str, payload: &[u8]) -> Vec<Option<Reason>> {
    fates(rules, topic, payload).iter().map(|fate| fate.as_ref().err().map(|refused| refused.reject.reason)).collect()
}

#[test]
fn filters_match_as_mqtt_says() {
    for (filter, topic, expected) in [
        ("a/b", "a/b", true),
        ("a/b", "a/b/c", false),
        ("a/+", "a/b", true),
        ("a/+", "a", false),
        ("a/+", "a/", true),
        ("a/#", "a", true),
        ("a/#", "a/b/c", true),
        ("#", "a/b", true),
        ("#", "$SYS/x", false),
        ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("+/+", "/a", true),
        ("/+", "a", false),
    ] {
        assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
    }
    for filter in ["", "a/#/b", "a#", "a+/b", "#/", "a\0"] {
        assert!(!is_filter(filter), "{filter:?}");
    }
}

#[test]
fn the_first_rule_that_matches_decides_and_others_stay_as_they_are() {
    let hfp = br#"{"VP":{"tst":"2024-02-13T16:33:00.005Z","lat":60.2,"long":24.9}}"#;
    let bridged = "hsl/hfp/v2/deadrun/ongoing/vp/bus/0018/01029";
    assert_eq!(reasons(&[], bridged, hfp), [Some(Reason::UnknownTopic)]);
    let read = fates(&["hsl/#=hfp", "hsl/#=gtfs-rt"], bridged, hfp);
    assert!(matches!(&read[..], [Ok(event)] if event.source() == "hfp.0018.01029"), "{read:?}");
    assert_eq!(reasons(&["hsl/#=gtfs-rt", "hsl/#=hfp"], bridged, hfp), [Some(Reason::Malformed)]);
    let ours = br#"{"ts_ms":1,"lon_deg":11.3,"lat_deg":44.5}"#;
    assert_eq!(reasons(&["hsl/#=hfp"], "arterial/v1/demo/position/a", ours), [None]);
    assert_eq!(reasons(&["#=ngsi-ld"], "arterial/v1/demo/position/a", ours), [Some(Reason::MissingField)]);
}

#[test]
fn a_message_may_be_a_small_file_and_is_taken_whole_or_not_at_all() {
    let map = "loops/+=loops:id=s,end=t:s,interval=60,count=n,speed=v:kmh";
    let table = b"t,s,n,v\n60,a,3,36\n60,b,NULL,NULL\n120,a,4,-1\n";
    let read = fates(&[map], "loops/x", table);
    let [Ok(Event::Detector(first)), Err(refused), Ok(Event::Detector(_))] = &read[..] else { panic!("{read:?}") };
    assert_eq!((first.source.as_str(), first.speed.unwrap().get()), ("a", 10.0));
    assert_eq!((refused.reject.reason, &refused.payload[..]), (Reason::MissingField, &b"60,b,NULL,NULL"[..]));
    let good = "<detector><interval begin=\"0\" end=\"60\" id=\"a\" nVehContrib=\"1\"/></detector>";
    assert_eq!(reasons(&["e1=sumo-e1"], "e1", good.as_bytes()), [None]);
    let cut = &good[..good.len() - 5];
    assert_eq!(reasons(&["e1=sumo-e1"], "e1", cut.as_bytes()), [Some(Reason::Malformed)]);
    assert_eq!(reasons(&["e1=sumo-e1"], "e1", b"<detector/>"), [Some(Reason::WrongSize)]);
    assert_eq!(reasons(&["#=ngsi-ld"], "e", &vec![b' '; MESSAGE_BYTES_MAX + 1]), [Some(Reason::WrongSize)]);
}

#[test]
fn each_mistake_in_a_rule_is_named() {
    let said = |rule: &str| Rules::parse([rule]).unwrap_err().to_string();
    for (rule, part) in [
        ("hfp", "TOPIC_FILTER=FORMAT"),
        ("a/#/b=hfp", "`a/#/b`"),
        ("a=json5", "gtfs-rt, ngsi-ld"),
        ("a=loops", "interval=300"),
        ("a=hfp:zone=UTC", "no map"),
        ("a=csv:id=a", "`time`"),
        ("a=atspm:zone=Mars", "`Mars`"),
    ] {
        assert!(said(rule).contains(part), "{rule}: {}", said(rule));
    }
    assert_eq!(Rules::parse(vec!["a=hfp"; RULES_MAX + 1]), Err(RuleError::TooMany));
    let rules = Rules::parse(["a/+=hfp", "b=atspm:zone=-08:00,id==7"]).unwrap();
    assert_eq!(rules.filters().collect::<Vec<_>>(), ["a/+", "b"]);
}
