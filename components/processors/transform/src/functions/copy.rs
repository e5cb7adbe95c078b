//! `copy_metric`.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, Expr, RunError, Subject};
use pdata::wire::put_len;

use super::fields::copy_without;
use super::metric::{DESCRIPTION, METRICS, NAME, UNIT, opened};

/// How many metrics copies may add to a scope, for each field of it that came, and at least. Copies are visited, too: a
/// statement whose condition holds for its own copies would go on for ever.
const COPIES_PER_METRIC: u32 = 20;
const COPIES_MIN: u32 = 1000;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "copy_metric",
    params: &[
        Param::optional("name", ParamKind::Value),
        Param::optional("description", ParamKind::Value),
        Param::optional("unit", ParamKind::Value),
    ],
    contexts: &[Context::Metric],
    build: |arguments: &mut Arguments| {
        let texts = [(NAME, "name"), (DESCRIPTION, "description"), (UNIT, "unit")]
            .into_iter()
            .filter_map(|(number, param)| Some((number, arguments.value_opt(param)?)))
            .collect();
        Ok(Built::Editor(Box::new(Copy { texts })))
    },
}];

/// Puts a copy of the metric behind those of its scope.
struct Copy {
    /// What is different in it.
    texts: Vec<(u32, Expr)>,
}

impl Change for Copy {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let scope = on.scope_group.ok_or("there is no scope here")?;
        let (given, added) = on.editor.growth(scope);
        let most = given.saturating_mul(COPIES_PER_METRIC).max(COPIES_MIN);
        if added >= most {
            return Err(RunError::new(format!(
                "a scope of about {given} metrics takes at most {most} copies; does the statement's condition hold for \
                 its own copies?"
            )));
        }
        let mut copy = Vec::new();
        for (number, text) in &self.texts {
            let text = text.eval(on)?;
            put_len(&mut copy, *number, text.as_str()?.as_bytes());
        }
        let numbers: Vec<u32> = self.texts.iter().map(|(number, _)| *number).collect();
        let at = on.editor.at(opened(on)?).ok_or("there is no metric here")?;
        copy_without(on.editor.bytes(at), &numbers, &mut copy);
        on.editor.append(scope, METRICS, &copy)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::{Sample, check, fails, refused, run};
    use ottl::Context::Metric;

    fn sum(name: &str) -> Sample {
        Sample::sum(name, 2, true).int(1, 5, &[("a", "x")]).exemplar(3).unknown()
    }

    #[test]
    fn copies_are_the_same_but_for_what_is_given() {
        let same = "sum 2 monotonic: {a=x}@1 5 ex3 unknown";
        for (arguments, copy) in [
            ("name=\"n\"", "n"),
            ("\"n\"", "n"),
            ("Concat([name, \"copy\"], \".\")", "m.copy"),
            ("name=\"n\", unit=\"s\"", "n[s]"),
            ("name=\"n\", description=\"d\"", "n(d)"),
        ] {
            let statement = format!("copy_metric({arguments}) where name == \"m\"");
            let expected = [format!("m {same}"), format!("o {same}"), format!("{copy} {same}")];
            check(Metric, &[&statement], &[sum("m"), sum("o")], &expected.each_ref().map(String::as_str));
        }
    }

    #[test]
    fn copies_see_later_statements_and_copies_of_copies() {
        let statements = [
            "copy_metric(name=\"b\") where name == \"a\"",
            "copy_metric(name=\"c\") where name == \"b\"",
            "convert_sum_to_gauge() where name == \"c\"",
        ];
        let expected = ["a sum 1: {}@1 5", "b sum 1: {}@1 5", "c gauge: {}@1 5"];
        check(Metric, &statements, &[Sample::sum("a", 1, false).int(1, 5, &[])], &expected);
    }

    #[test]
    fn copies_without_an_end_are_stopped() {
        let (metrics, errors) = run(Metric, &["copy_metric()"], &[sum("m")]);
        assert_eq!(metrics.len(), 1001);
        assert!(matches!(&*errors, [error] if error.contains("hold for its own copies")), "{errors:?}");
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing() {
        for (statement, error) in [
            ("copy_metric(name=metadata[\"none\"])", "expected a string"),
            ("copy_metric(unit=1)", "expected a string, found int"),
        ] {
            fails(Metric, statement, &[sum("m")], error);
        }
        refused(Metric, "copy_metric(desc=\"x\")", "desc");
    }
}
