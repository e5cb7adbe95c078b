# Gets the real counterparts that the interop tests talk to, and keeps them in the user's cache. Sourced by `run`.
#
# Each function sets a variable to where the program is. What cannot be had is left unset after a message, or ends the run where
# CI is set. Versions are pinned here; a cached program is used only if it was built from the same recipe.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/weir-peers
collector_version=v0.145.0
cargo_deny_version=0.20.2

# What of the Collector the tests use. The recipe names more, of which some take many minutes to build.
collector_modules='otlpreceiver|nopreceiver|batchprocessor|memorylimiterprocessor|otlpexporter|otlphttpexporter|debugexporter|nopexporter'
collector_modules+='|fileexporter|forwardconnector|healthcheckextension|basicauthextension|bearertokenauthextension|headerssetterextension'
collector_modules+='|attributesprocessor|resourceprocessor|redactionprocessor|filterprocessor|transformprocessor'
collector_modules+='|probabilisticsamplerprocessor|tailsamplingprocessor|envprovider|fileprovider|yamlprovider'

missing() {
  echo "MISSING: $1" >&2
  if [[ -n ${CI:-} ]]; then
    exit 1
  fi
}

# Debian packages that the tests and the build of the peers need, where they are not there and can be had.
system_packages() {
  local wanted=()
  command -v openssl >/dev/null || wanted+=(openssl)
  command -v curl >/dev/null || wanted+=(curl)
  command -v cc >/dev/null || wanted+=(build-essential)
  python3 -c 'import ensurepip' 2>/dev/null || wanted+=(python3-venv)
  if ((${#wanted[@]} == 0)); then
    return
  fi
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "installing ${wanted[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null; } ||
      missing "could not install ${wanted[*]}"
  else
    missing "${wanted[*]}: install by hand"
  fi
}

# Sets `python` to an interpreter with the OpenTelemetry SDK.
get_python() {
  local requirements=tests/interop/requirements.txt environment
  environment=$cache/python-$(sha256sum "$requirements" | cut -c1-16)
  python=$environment/bin/python
  if [[ ! -e $environment/complete ]]; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    touch "$environment/complete"
  fi
  echo "SDK: $("$python" -m pip list --disable-pip-version-check 2>/dev/null | grep -E '^opentelemetry-sdk ' | tr -s ' ')"
}

have_go() {
  command -v go >/dev/null || {
    missing "go: the tests against a real Collector and telemetrygen need it"
    return 1
  }
}

# go_install DIRECTORY PACKAGE: builds a Go program at the pinned version into DIRECTORY, unless it is there.
go_install() {
  [[ -x $1/${2##*/} ]] || GOBIN=$1 GOFLAGS=-trimpath go install -ldflags='-s -w' "$2@$collector_version"
}

# Sets `otelcol` to a Collector built by the recipe at $1, lean: only the modules that the tests use.
get_collector() {
  if [[ ! -r $1 ]]; then
    missing "the recipe of the Collector, shared/peers/otelcol.yaml beside this checkout"
    return
  fi
  have_go || return 0
  local recipe directory
  recipe=$(grep -vE '^ *#' "$1" | grep -E "^[^ ]|^  [^-]|/($collector_modules) ")
  directory=$cache/otelcol-$collector_version-$(sha256sum <<<"$recipe" | cut -c1-16)
  otelcol=$directory/dist/otelcol
  if [[ ! -e $directory/complete ]]; then
    mkdir -p "$directory"
    echo "$recipe" >"$directory/otelcol.yaml"
    go_install "$directory" go.opentelemetry.io/collector/cmd/builder
    (cd "$directory" && CGO_ENABLED=0 ./builder --config otelcol.yaml --ldflags='-s -w' >builder.log 2>&1) || {
      tail -n 20 "$directory/builder.log" >&2
      unset otelcol
      missing "a Collector: the builder failed, its log is above"
      return 0
    }
    touch "$directory/complete"
  fi
  echo "Collector: $("$otelcol" --version)"
}

# Sets `telemetrygen`.
get_telemetrygen() {
  have_go || return 0
  local directory=$cache/telemetrygen-$collector_version
  go_install "$directory" github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen || {
    missing "telemetrygen: it could not be built"
    return 0
  }
  telemetrygen=$directory/telemetrygen
  echo "telemetrygen: $collector_version"
}

# Sets `cargo_deny`.
get_cargo_deny() {
  local directory=$cache/cargo-deny-$cargo_deny_version
  cargo_deny=$directory/bin/cargo-deny
  [[ -x $cargo_deny ]] || cargo install --quiet --locked --root "$directory" "cargo-deny@$cargo_deny_version"
  "$cargo_deny" --version
}
