//! `/api/v1/openapi.json`: the API as a document for machines, OpenAPI 3.1.
//!
//! Upstream: the shapes in [`schema`] and [`history`], and the table of paths below. Downstream: the dashboard's types
//! (`npm run types`, from the copy in `dashboard/openapi.json` that a test here keeps current), anybody's client. The
//! browser tests hold every answer of the real binary against it (`dashboard/e2e/contract.spec.ts`).

mod history;
mod schema;

use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, HttpMethod, Ref, RefOr, Required, ResponseBuilder};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Arterial",
        version = "1",
        description = "Congestion of a city, segment by segment. Units are in the names of fields; times are UTC. \
                       Whatever concerns fewer than `k` vehicles is left out.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(
        schema::Fault,
        schema::Network,
        schema::Snapshot,
        schema::LiveFrame,
        schema::Explanation,
        schema::Areas,
        schema::Bottlenecks,
        schema::Incidents,
        schema::Signals,
        schema::Buses,
        schema::Detectors,
        schema::Quality,
        schema::Recent,
        schema::SpaceTime,
        schema::Series,
        schema::Attached,
        schema::Replay,
        history::Days,
        history::TypicalDay,
        history::Comparison,
        history::Ranking,
        history::Reliabilities,
        history::Recurring,
        history::QualityDays,
    ))
)]
struct Shapes;

/// A path of the API.
struct Entry {
    path: &'static str,
    method: HttpMethod,
    about: &'static str,
    /// Names of parameters; those that must be given end in `!`.
    parameters: &'static [&'static str],
    /// Name of the shape of the answer; empty for a binary one.
    answer: &'static str,
}

const fn get(
    path: &'static str,
    answer: &'static str,
    parameters: &'static [&'static str],
    about: &'static str,
) -> Entry {
    Entry { path, method: HttpMethod::Get, about, parameters, answer }
}

const fn post(path: &'static str, parameters: &'static [&'static str], about: &'static str) -> Entry {
    Entry { path, method: HttpMethod::Post, about, parameters, answer: "Replay" }
}

const PLACE: [&str; 4] = ["corridor", "segment", "zone", "city"];
const PLACE_RANGE: [&str; 7] = [PLACE[0], PLACE[1], PLACE[2], PLACE[3], "from!", "to!", "format"];
const PERIODS: [&str; 10] =
    [PLACE[0], PLACE[1], PLACE[2], PLACE[3], "before!", "after!", "weekdays", "hours", "without", "control"];
const RANKED: [&str; 7] = ["kind!", "before!", "after!", "weekdays", "hours", "without", "top"];

const PATHS: &[Entry] = &[
    get("/network", "Network", &[], "The segments with their geometry, as columns"),
    get("/snapshot", "Snapshot", &["window"], "The newest figures of one window"),
    get("/live", "LiveFrame", &["window"], "WebSocket: at every tick this as text, then a binary frame"),
    get("/explain", "Explanation", &["metric!", "segment!", "window"], "One figure with its numbers filled in"),
    get("/corridors", "Areas", &["window"], "Figures of corridors"),
    get("/zones", "Areas", &["window"], "Figures of zones"),
    get("/city", "Areas", &["window"], "Figures of the city"),
    get("/bottlenecks", "Bottlenecks", &[], "Sustained bottlenecks and queues"),
    get("/incidents", "Incidents", &[], "Alarms that stand, then those that ended"),
    get("/signals", "Signals", &["signal"], "Phases of signals; with a name, the cycles and arrivals of that one"),
    get("/buses", "Buses", &[], "Headways, bunching and waits by line"),
    get("/detectors", "Detectors", &[], "Loops, and segments on which probes and loops speak"),
    get("/quality", "Quality", &[], "What came in, what became of it, how far behind it is"),
    get("/recent", "Recent", &[], "Frames of the last two hours"),
    get("/recent/frame", "LiveFrame", &["end!"], "The text half of one of them"),
    get("/recent/codes", "", &["end!"], "The binary half of one of them"),
    get("/recent/spacetime", "SpaceTime", &["corridor!"], "A corridor over time, a byte a segment and frame"),
    get("/recent/series", "Series", &["kind", "name"], "Figures of an area over time"),
    get("/replay", "Attached", &[], "Where the attached replay stands"),
    post("/replay/pause", &[], "Stop before the next record"),
    post("/replay/resume", &[], "Go on"),
    post("/replay/speed", &["factor!"], "A factor of the recording's own time, or `max`"),
    post("/replay/step", &["seconds!"], "So much at full speed, then pause"),
    post("/replay/seek", &["to!"], "Ahead at full speed"),
    get("/history", "Days", &[], "The days that history holds"),
    get("/history/typical-day", "TypicalDay", &PLACE_RANGE, "A place by weekday and quarter hour"),
    get("/history/compare", "Comparison", &PERIODS, "A place in two periods"),
    get("/history/ranking", "Ranking", &RANKED, "Places by how much they changed"),
    get("/history/reliability", "Reliabilities", &PLACE_RANGE, "How far travel times can be relied on"),
    get("/history/bottlenecks", "Recurring", &["from!", "to!", "format"], "Bottlenecks that come again"),
    get("/history/quality", "QualityDays", &["from!", "to!", "format"], "Sources by day"),
];

/// Fields that only some answers have: those of corridors.
const SOMETIMES: [&str; 4] = ["travel_time_s", "travel_time_stderr_s", "free_travel_time_s", "imputed_length_share"];

/// The document, as it is served and as `dashboard/openapi.json` holds it.
pub fn document() -> String {
    let mut document = Shapes::openapi();
    for entry in PATHS {
        let path = format!("/api/v1{}", entry.path);
        document.paths.add_path_operation(path, vec![entry.method.clone()], operation(entry));
    }
    if let Some(components) = document.components.as_mut() {
        for (name, shape) in &mut components.schemas {
            require_all(name, shape);
        }
    }
    let mut text = document.to_pretty_json().expect("the document is fixed and is encoded in the tests");
    text.push('\n');
    text
}

/// What is not known is `null` and not absent, so every field is always there.
fn require_all(name: &str, shape: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = shape {
        let is_always = |field: &&String| name != "AreaFigures" || !SOMETIMES.contains(&field.as_str());
        object.required = object.properties.keys().filter(is_always).cloned().collect();
    }
}

fn operation(entry: &Entry) -> OperationBuilder {
    let mut operation = OperationBuilder::new().summary(Some(entry.about));
    for name in entry.parameters {
        let must = name.ends_with('!');
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = ParameterBuilder::new()
            .name(name.trim_end_matches('!'))
            .parameter_in(ParameterIn::Query)
            .required(if must { Required::True } else { Required::False })
            .schema(Some(RefOr::T(Schema::Object(text))));
        operation = operation.parameter(parameter.build());
    }
    let json = |shape: &str| ContentBuilder::new().schema(Some(Ref::from_schema_name(shape))).build();
    let given = ResponseBuilder::new().description("What was asked for");
    let given = match entry.answer {
        "" => given.content("application/octet-stream", ContentBuilder::new().build()),
        shape => given.content("application/json", json(shape)),
    };
    let refused = ResponseBuilder::new().description("What was wrong").content("application/json", json("Fault"));
    operation.response("200", given.build()).response("default", refused.build())
}

pub(super) async fn route() -> Response {
    static DOCUMENT: std::sync::LazyLock<String> = std::sync::LazyLock::new(document);
    ([(axum::http::header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With ARTERIAL_WRITE_OPENAPI set, writes the copy instead.
    #[test]
    fn the_copy_that_types_are_made_of_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboard/openapi.json");
        if std::env::var_os("ARTERIAL_WRITE_OPENAPI").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let copy = std::fs::read_to_string(path).unwrap();
        assert!(copy == document(), "dashboard/openapi.json is old: set ARTERIAL_WRITE_OPENAPI=1 and run this again");
    }

    #[test]
    fn every_answer_has_a_shape() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        for entry in PATHS {
            assert!(
                entry.answer.is_empty() || document["components"]["schemas"][entry.answer].is_object(),
                "{}",
                entry.path
            );
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), PATHS.len());
    }
}
