//! About a line per item.

use pdata::view::{AttributesView, DataPointView, MetricView, Number, ScopeGroup};
use pdata::{Payload, Signal};
use value_text::Text as Plain;

use super::scalar::{Fixed, Hex, Shortest};
use super::{Text, line};

/// The payload at normal verbosity.
#[must_use]
pub fn normal(payload: &Payload) -> String {
    let mut text = Text::default();
    let (resource_name, scope_name) = match payload.signal() {
        Signal::Traces => ("ResourceTraces", "ScopeTraces"),
        Signal::Metrics => ("ResourceMetrics", "ScopeMetrics"),
        Signal::Logs => ("ResourceLog", "ScopeLog"),
    };
    for (n, resource) in payload.resources().enumerate() {
        text.add(format_args!("{resource_name} #{n}"));
        if !resource.schema_url().is_empty() {
            text.add(format_args!(" [{}]", resource.schema_url()));
        }
        pairs(&mut text, resource.resource().attributes(), " ");
        text.add(format_args!("\n"));
        for scope in resource.scopes() {
            // The Collector numbers scopes like their resource.
            text.add(format_args!("{scope_name} #{n}"));
            scope_head(&mut text, scope);
            pairs(&mut text, scope.scope().attributes(), " ");
            text.add(format_args!("\n"));
            items(&mut text, scope);
        }
    }
    text.into_string()
}

fn scope_head(text: &mut Text, scope: ScopeGroup<'_>) {
    let (name, version, schema) = (scope.scope().name(), scope.scope().version(), scope.schema_url());
    if !(name.is_empty() && version.is_empty()) {
        text.add(format_args!(" {name}"));
    }
    if !version.is_empty() {
        text.add(format_args!("@{version}"));
    }
    if !schema.is_empty() {
        text.add(format_args!(" [{schema}]"));
    }
}

/// `key=value` pairs, each after a `lead`.
fn pairs(text: &mut Text, attributes: AttributesView<'_>, lead: &str) {
    for pair in attributes {
        text.add(format_args!("{lead}{}={}", pair.key(), Plain(pair.value())));
    }
}

fn items(text: &mut Text, scope: ScopeGroup<'_>) {
    for span in scope.spans() {
        text.add(format_args!("{} {} {}", span.name(), Hex(span.trace_id()), Hex(span.span_id())));
        pairs(text, span.attributes(), " ");
        text.add(format_args!("\n"));
    }
    for record in scope.log_records() {
        text.add(format_args!("{}", Plain(record.body())));
        if record.attributes().is_empty() {
            text.add(format_args!(" "));
        }
        pairs(text, record.attributes(), " ");
        text.add(format_args!("\n"));
    }
    for metric in scope.metrics() {
        for point in metric.data_points() {
            point_line(text, metric, point);
        }
    }
}

fn point_line(text: &mut Text, metric: MetricView<'_>, point: DataPointView<'_>) {
    text.add(format_args!("{}{{", metric.name()));
    for (n, pair) in point.attributes().iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        text.add(format_args!("{comma}{}={}", pair.key(), Plain(pair.value())));
    }
    text.add(format_args!("}} "));
    match point {
        DataPointView::Number(point) => match point.value() {
            Some(Number::Int(value)) => text.add(format_args!("{value}")),
            Some(Number::Double(value)) => text.add(format_args!("{}", Shortest(value))),
            None => {}
        },
        DataPointView::Histogram(point) => {
            aggregates(text, point.count(), point.sum(), point.min(), point.max());
            let mut bounds = point.explicit_bounds();
            for count in point.bucket_counts() {
                match bounds.next() {
                    Some(bound) => text.add(format_args!(" le{}={count}", Shortest(bound))),
                    None => text.add(format_args!(" {count}")),
                }
            }
        }
        DataPointView::ExponentialHistogram(point) => {
            aggregates(text, point.count(), point.sum(), point.min(), point.max());
        }
        DataPointView::Summary(point) => {
            text.add(format_args!("count={} sum={}", point.count(), Fixed(point.sum())));
            for quantile in point.quantile_values() {
                text.add(format_args!(" q{}={}", Shortest(quantile.quantile()), Shortest(quantile.value())));
            }
        }
    }
    line!(text, "");
}

fn aggregates(text: &mut Text, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
    text.add(format_args!("count={count}"));
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            text.add(format_args!(" {name}={}", Shortest(value)));
        }
    }
}
