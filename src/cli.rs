//! The command line: arguments, commands, exit codes. Output goes to stdout, diagnostics to stderr.

mod explain;
mod healthcheck;
mod inspect;
mod run;

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use config::{Errors, LoadOptions};

use crate::gates;
use crate::service::ServiceOptions;

/// Exit code of a wrong command line.
const EXIT_USAGE: u8 = 2;
/// Exit code of a wrong configuration (`EX_CONFIG`).
const EXIT_CONFIG: u8 = 78;

/// The configuration without `--config`: take OTLP, print it.
const DEFAULT_CONFIG: &str = include_str!("default-config.yaml");

#[derive(Debug, Parser)]
#[command(name = "weir", version, about = "A telemetry pipeline that reads the OpenTelemetry Collector's YAML")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Clone, Debug, Args)]
struct ConfigArgs {
    /// Where the configuration is: a file, `env:NAME` or `yaml:TEXT`. May be given several times; later ones are laid over
    /// earlier ones. Without it, OTLP on localhost:4317 and :4318 is printed.
    #[arg(long = "config", value_name = "URI", env = "WEIR_CONFIG")]
    config: Vec<String>,
    /// Sets one value over all configurations: `--set=exporters.debug.verbosity=detailed`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Switches feature gates: `a,+b,-c`.
    #[arg(long = "feature-gates", value_name = "GATES")]
    feature_gates: Vec<String>,
    /// Refuses variables that are not set and have no default.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Least severe log lines to print; overrides `service::telemetry::logs::level`.
    #[arg(long, value_name = "LEVEL", env = "WEIR_LOG")]
    log_level: Option<String>,
    /// Form of log lines; overrides `service::telemetry::logs::encoding`.
    #[arg(long, value_enum, env = "WEIR_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// How long draining may take at shutdown and for what a reload replaces.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = parse_duration)]
    shutdown_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ErrorFormat {
    /// For people.
    Text,
    /// One document.
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DataFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ConfigMode {
    /// Secrets read `[REDACTED]`.
    Redacted,
    /// Secrets are printed.
    Unredacted,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the pipelines (also without a command).
    Run(RunArgs),
    /// Checks a configuration: every step of a start but binding and connecting. Silent when it is right.
    #[command(alias = "check")]
    Validate {
        #[command(flatten)]
        config: ConfigArgs,
        /// Form of errors and warnings.
        #[arg(long, value_enum, default_value = "text")]
        format: ErrorFormat,
    },
    /// Lists the components in this binary.
    Components {
        /// Form of the list.
        #[arg(long, value_enum, default_value = "yaml")]
        format: DataFormat,
    },
    /// Prints the configuration as merged and expanded.
    PrintConfig {
        #[command(flatten)]
        config: ConfigArgs,
        /// Whether secrets are printed.
        #[arg(long, value_enum, default_value = "redacted")]
        mode: ConfigMode,
        /// Form of the output.
        #[arg(long, value_enum, default_value = "yaml")]
        format: DataFormat,
        /// Adds to each value where it was written, file:line:column.
        #[arg(long)]
        origin: bool,
    },
    /// Explains an error code (`weir explain E0102`), or why a running weir kept or dropped a trace (`weir explain trace ID`).
    Explain {
        /// The code, or `trace`.
        what: String,
        /// ID of the trace, 32 hexadecimal digits.
        id: Option<String>,
        /// Where the running weir shows its own metrics.
        #[arg(long, value_name = "URL", default_value = "http://localhost:8888")]
        address: String,
    },
    /// Lists feature gates, or shows one.
    Featuregate {
        /// Its ID.
        id: Option<String>,
    },
    /// Asks a running weir whether it is healthy; exit code 0 or 1. For images without a shell.
    Healthcheck {
        /// Where its `health_check` extension listens.
        #[arg(default_value = "http://localhost:13133/")]
        url: String,
        /// How long to wait for the answer.
        #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = parse_duration)]
        timeout: Duration,
    },
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the version.
    Version,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let (duration, _warnings) = config::decode_str::<Duration>(text).map_err(|errors| errors.to_string())?;
    Ok(duration)
}

impl ConfigArgs {
    fn options(&self) -> Result<ServiceOptions, Failure> {
        let gates = gates::parse(&self.feature_gates).map_err(|errors| Failure::Usage(errors.join("\n")))?;
        if self.config.iter().any(String::is_empty) {
            let message = "`--config` is empty: name a file, `env:NAME` or `yaml:TEXT`";
            return Err(Failure::Usage(message.to_owned()));
        }
        let uris = if self.config.is_empty() { vec![format!("yaml:{DEFAULT_CONFIG}")] } else { self.config.clone() };
        let load = LoadOptions {
            merge_append: gates.has(gates::MERGE_APPEND),
            strict_env: self.strict,
            ..LoadOptions::default()
        };
        Ok(ServiceOptions { uris, sets: self.set.clone(), load, ..ServiceOptions::default() })
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The configuration is wrong.
    Config(Box<Errors>, ErrorFormat),
    /// Anything at run time.
    Runtime(anyhow::Error),
    /// Said already; only the exit code is left.
    Silent,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Runtime(error.into())
    }
}

/// Parses the command line, does what it says, and returns the exit code: 0 fine, 1 failed, 2 wrong command line, 78 wrong
/// configuration.
#[must_use]
pub fn main() -> ExitCode {
    let matches = without_empty_variables(Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            // Nothing can be done about a closed terminal.
            let _printed = error.print();
            if let Some(path) = stray_path(&error) {
                diagnose(&format!("\n  tip: a configuration is given as '--config={path}'"));
            }
            return ExitCode::from(code);
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

/// Takes variables that are set to nothing for not set, as container platforms leave them.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

/// The argument that was not expected, if it is the path of a YAML file.
fn stray_path(error: &clap::Error) -> Option<&str> {
    let stray = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg].into_iter().find_map(|kind| error.get(kind));
    let Some(ContextValue::String(text)) = stray else { return None };
    let extension = Path::new(text).extension()?;
    (!text.starts_with('-') && (extension == "yaml" || extension == "yml")).then_some(text)
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Validate { config, format }) => inspect::validate(&config, format),
        Some(Command::Components { format }) => print(&inspect::components(format)),
        Some(Command::PrintConfig { config, mode, format, origin }) => {
            print(&inspect::print_config(&config, mode, format, origin)?)
        }
        Some(Command::Explain { what, id, address }) => match (what.as_str(), id) {
            ("trace", Some(id)) => explain::trace(&id, &address),
            ("trace", None) => Err(Failure::Usage("which trace? `weir explain trace ID`".to_owned())),
            (code, None) => explain::code(code),
            (_, Some(extra)) => Err(Failure::Usage(format!("`{extra}` is too much: a code stands alone"))),
        },
        Some(Command::Featuregate { id }) => print(&inspect::feature_gates(id.as_deref())?),
        Some(Command::Healthcheck { url, timeout }) => healthcheck::healthcheck(&url, timeout),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "weir", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Some(Command::Version) => print(concat!("weir ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `weir components | head` is no error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn diagnose(text: &str) {
    // Without a stderr there is nobody to tell.
    let _written = writeln!(std::io::stderr().lock(), "{text}");
}

fn colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn render(errors: &Errors, format: ErrorFormat) -> String {
    match format {
        ErrorFormat::Text => errors.render_text(colored()),
        ErrorFormat::Json => errors.render_json(),
        ErrorFormat::Github => errors.render_github(),
    }
}

fn report(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Usage(message) => {
            diagnose(&format!("Error: {message}"));
            ExitCode::from(EXIT_USAGE)
        }
        Failure::Config(errors, format) => {
            diagnose(render(errors, *format).trim_end());
            ExitCode::from(EXIT_CONFIG)
        }
        Failure::Runtime(error) => {
            diagnose(&format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
        Failure::Silent => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_the_collector_are_taken_with_and_without_a_command() {
        for line in [
            ["weir", "--config=a.yaml", "--set=a.b=1", "--feature-gates=-x"].as_slice(),
            &["weir", "run", "--config=a.yaml", "--config=b.yaml"],
            &["weir", "validate", "--config", "a.yaml"],
        ] {
            Cli::try_parse_from(line).unwrap();
        }
    }

    #[test]
    fn a_path_without_its_flag_is_noticed() {
        for (line, expected) in [
            (["weir", "gateway.yaml"].as_slice(), Some("gateway.yaml")),
            (&["weir", "validate", "conf/a.yml"], Some("conf/a.yml")),
            (&["weir", "valdate"], None),
            (&["weir", "--confg=a.yaml"], None),
        ] {
            assert_eq!(stray_path(&Cli::try_parse_from(line).unwrap_err()), expected, "{line:?}");
        }
    }
}
