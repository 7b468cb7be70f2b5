//! The timeline as traces of OpenTelemetry: a trace for the run and one for each case, whose spans are its steps, their phases
//! on the nodes, what the clients met and what was broken on purpose. Names follow the semantic conventions where there are
//! any. The same run gives the same ids, so that one that is sent twice is there once.

mod case;
mod span;

use crate::record::Run;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use span::{Ids, Wall, number, text};

/// The traces of a run, one request for the run itself and one for each case that began.
pub fn otlp(run: &Run) -> Vec<ExportTraceServiceRequest> {
    let wall = Wall::of(run);
    let root = root(run, &wall);
    let cases = run.cases.iter().filter(|c| c.started).map(|c| case::spans(c, run, &wall, &root));
    std::iter::once(vec![root.clone()]).chain(cases).map(|spans| request(run, spans)).collect()
}

/// The traces as the file that the collector's receiver `otlpjsonfile` reads, and its exporter `file` writes: a line of JSON a
/// request.
pub fn otlp_lines(run: &Run) -> String {
    otlp(run).iter().map(|request| serde_json::to_string(request).unwrap_or_default() + "\n").collect()
}

fn request(run: &Run, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut attributes = vec![
        text("service.name", "podferry"),
        text("service.version", &run.podferry),
        text("service.instance.id", &run.id.0),
        text("os.type", "linux"),
        text("os.description", &run.host.os),
        text("os.version", &run.host.kernel),
        text("host.cpu.model.name", &run.host.cpu_model),
        number("podferry.host.cpus", i64::from(run.host.cpus)),
        text("podferry.image", &run.image),
    ];
    for node in &run.nodes {
        let name = node.image.as_ref().map_or_else(|| node.name.clone(), |image| format!("{image}.{}", node.name));
        let of = node.components.iter().map(|c| text(&format!("podferry.node.{name}.{}", c.name), &c.version));
        attributes.extend(of);
    }
    let scope = InstrumentationScope {
        name: "podferry".to_owned(),
        version: run.podferry.clone(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }],
    }
}

fn root(run: &Run, wall: &Wall) -> Span {
    let ids = Ids::of(&run.id.0, "");
    let mut root = ids.root(&format!("run {}", run.id), (run.epoch, wall.end), wall);
    root.attributes = vec![
        text("podferry.command", &run.command.join(" ")),
        number("podferry.cases", i64::try_from(run.cases.len()).unwrap_or(i64::MAX)),
    ];
    root.attributes.extend(run.exit_code.map(|code| number("process.exit.code", i64::from(code))));
    root
}

#[cfg(test)]
mod tests;
