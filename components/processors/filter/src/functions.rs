//! Functions that only this processor has: what a metric's data points have among their attributes.

use ottl::function::ParamKind;
use ottl::{Arguments, Built, Context, Convert, Expr, Function, Param, RunError, Subject, Value};
use pdata::edit::Msg;

/// All of them.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "HasAttrKeyOnDatapoint",
        params: &[Param::required("key", ParamKind::Text)],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| {
            Ok(Built::Converter(Box::new(HasAttribute { key: arguments.text("key")?, value: None })))
        },
    },
    Function {
        name: "HasAttrOnDatapoint",
        params: &[Param::required("key", ParamKind::Text), Param::required("value", ParamKind::Value)],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| {
            let (key, value) = (arguments.text("key")?, arguments.value("value")?);
            Ok(Built::Converter(Box::new(HasAttribute { key, value: Some(value) })))
        },
    },
];

/// Whether a data point of the metric has an attribute, of that text if one is given.
struct HasAttribute {
    key: String,
    value: Option<Expr>,
}

/// Fields of a metric that hold data, and of data that hold points.
const DATA: [u32; 5] = [5, 7, 9, 10, 11];
const POINTS: u32 = 1;

impl Convert for HasAttribute {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        let wanted = self.value.as_ref().map(|value| value.eval(on)).transpose()?;
        let wanted = wanted.as_ref().map(Value::as_str).transpose()?;
        let metric = on.metric.ok_or("there is no metric here")?;
        let Some(data) = DATA.iter().find_map(|number| on.editor.sub(metric, *number)) else {
            return Ok(Value::Bool(false));
        };
        let mut next = on.editor.first(data, POINTS);
        while let Some(at) = next {
            if let Some(point) = on.editor.open(at)
                && self.is_on(on, point, wanted)
            {
                return Ok(Value::Bool(true));
            }
            next = on.editor.next(at);
        }
        Ok(Value::Bool(false))
    }
}

impl HasAttribute {
    fn is_on(&self, on: &mut Subject<'_>, point: Msg, wanted: Option<&str>) -> bool {
        let mut attributes = on.editor.attributes(point);
        match (attributes.get(&self.key), wanted) {
            (None, _) => false,
            (Some(_), None) => true,
            // What is no text reads as empty text, as in the Collector.
            (Some(value), Some(wanted)) => value.str_bytes().unwrap_or_default() == wanted.as_bytes(),
        }
    }
}
