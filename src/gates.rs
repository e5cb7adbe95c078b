//! `--feature-gates`, with the Collector's IDs and stages.

/// How settled a gate is; decides its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Off unless enabled.
    Alpha,
    /// On unless disabled.
    Beta,
    /// On; cannot be disabled.
    Stable,
}

/// A feature gate.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Its ID.
    pub id: &'static str,
    /// Its stage.
    pub stage: Stage,
    /// What it does here.
    pub description: &'static str,
    /// Whether weir has what it switches on.
    pub supported: bool,
}

/// Appends lists of components when several configurations are merged.
pub const MERGE_APPEND: &str = "confmap.enableMergeAppendOption";

/// Every gate of the Collector that means something to a configuration weir accepts.
pub const GATES: &[Gate] = &[
    Gate {
        id: MERGE_APPEND,
        stage: Stage::Alpha,
        description: "append service::extensions and pipelines' receivers and exporters when merging, instead of replacing",
        supported: true,
    },
    Gate {
        id: "otelcol.printInitialConfig",
        stage: Stage::Stable,
        description: "the command print-config, which needs no gate here",
        supported: true,
    },
    Gate {
        id: "receiverhelper.newReceiverMetrics",
        stage: Stage::Stable,
        description: "otelcol_receiver_failed_* and otelcol_receiver_requests, which are always there",
        supported: true,
    },
    Gate {
        id: "pkg.exporterhelper.queueBatchEnabled",
        stage: Stage::Stable,
        description: "sending_queue::batch, which is always there",
        supported: true,
    },
    Gate {
        id: "pdata.useProtoPooling",
        stage: Stage::Stable,
        description: "pools decoded messages; telemetry is not decoded here",
        supported: true,
    },
    Gate {
        id: "service.partialReload",
        stage: Stage::Stable,
        description: "reload only what changed, which is always so",
        supported: true,
    },
    Gate {
        id: "service.AllowNoPipelines",
        stage: Stage::Alpha,
        description: "run with extensions alone",
        supported: false,
    },
    Gate { id: "service.profilesSupport", stage: Stage::Alpha, description: "pipelines of profiles", supported: false },
    Gate {
        id: "telemetry.newPipelineTelemetry",
        stage: Stage::Stable,
        description: "otelcol.*.consumed.items and produced.items at level detailed, which are always there",
        supported: true,
    },
    Gate {
        id: "ottl.functions.enableLambda",
        stage: Stage::Stable,
        description: "lambdas in OTTL, which are always there",
        supported: true,
    },
    Gate {
        id: "ottl.contexts.enableOTelColContext",
        stage: Stage::Stable,
        description: "the paths otelcol.* in OTTL, which are always there",
        supported: true,
    },
    Gate {
        id: "processor.tailsamplingprocessor.disableinvertdecisions",
        stage: Stage::Stable,
        description: "policies with invert_match are no veto, which is always so",
        supported: true,
    },
    Gate {
        id: "transform.flatten.logs",
        stage: Stage::Stable,
        description: "transform's flatten_data, which needs no gate here",
        supported: true,
    },
    Gate {
        id: "extension.healthcheck.useComponentStatus",
        stage: Stage::Alpha,
        description: "health_check's second version unasked; write `use_v2: true`",
        supported: false,
    },
    Gate {
        id: "processor.tailsamplingprocessor.recordpolicy",
        stage: Stage::Alpha,
        description: "kept spans say which policy kept them; write `reason_attribute`",
        supported: false,
    },
    Gate {
        id: "processor.tailsamplingprocessor.usetracestate",
        stage: Stage::Alpha,
        description: "kept spans say in `th` what share was kept; write `adjusted_counts: true`",
        supported: false,
    },
    Gate {
        id: "processor.tailsamplingprocessor.metricstatcountspanssampled",
        stage: Stage::Alpha,
        description: "tail sampling's votes counted in spans, which is always done",
        supported: true,
    },
    Gate {
        id: "processor.tailsamplingprocessor.metricstatcountbytessampled",
        stage: Stage::Alpha,
        description: "tail sampling's votes counted in bytes, which is always done",
        supported: true,
    },
    Gate {
        id: "processor.tailsamplingprocessor.tailstorageextension",
        stage: Stage::Alpha,
        description: "tail_storage: waiting spans outside of memory",
        supported: false,
    },
];

/// Which gates are on.
#[derive(Clone, Debug, Default)]
pub struct Enabled(Vec<&'static str>);

impl Enabled {
    /// Whether the gate is on.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.0.contains(&id)
    }
}

/// Reads lists such as `a,+b,-c`.
///
/// # Errors
/// Gates that do not exist, are not supported, or cannot be disabled; all of them.
pub fn parse(lists: &[String]) -> Result<Enabled, Vec<String>> {
    let on_by_default = GATES.iter().filter(|gate| gate.stage != Stage::Alpha).map(|gate| gate.id);
    let mut enabled: Vec<&'static str> = on_by_default.collect();
    let mut errors = Vec::new();
    for text in lists.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty()) {
        let (id, on) = match text.strip_prefix('-') {
            Some(id) => (id, false),
            None => (text.strip_prefix('+').unwrap_or(text), true),
        };
        let Some(gate) = GATES.iter().find(|gate| gate.id == id) else {
            let near = config::nearest(id, GATES.iter().map(|gate| gate.id));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            errors.push(format!("no such feature gate `{id}`{hint}"));
            continue;
        };
        match (gate.stage, on) {
            (Stage::Stable, false) => errors.push(format!("feature gate `{id}` is stable, can not be disabled")),
            (_, true) if !gate.supported => {
                errors.push(format!("feature gate `{id}` ({}) is not supported", gate.description));
            }
            (_, true) => enabled.push(gate.id),
            (_, false) => enabled.retain(|other| *other != gate.id),
        }
    }
    if errors.is_empty() { Ok(Enabled(enabled)) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_switched_and_mistakes_named() {
        assert!(!parse(&[]).unwrap().has(MERGE_APPEND));
        assert!(parse(&[format!("+{MERGE_APPEND}")]).unwrap().has(MERGE_APPEND));
        assert!(!parse(&[format!("{MERGE_APPEND},-{MERGE_APPEND}")]).unwrap().has(MERGE_APPEND));
        let errors = parse(&["confmap.enableMergeAppend,-otelcol.printInitialConfig,service.profilesSupport".into()]);
        let errors = errors.unwrap_err();
        assert_eq!(errors.len(), 3);
        assert!(errors[0].contains("did you mean `confmap.enableMergeAppendOption`"), "{errors:?}");
    }
}
