//! TLS end to end, with both servers and both clients.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use component::Deadline;
use pdata::Context;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{CallError, GrpcChannel, HttpClient, Phase};
use crate::server::http::text;
use crate::server::{GrpcServer, HttpHandler, HttpResponse, HttpServer, Refusal, RequestHead, RequestInfo, Route};
use crate::testing::*;

/// A CA that writes certificates into a folder.
struct Ca(Issuer<'static, KeyPair>);

impl Ca {
    fn new(file: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, file.display().to_string());
        std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self(Issuer::new(params, key))
    }

    fn issue(&self, folder: &Path, name: &str, host: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> (Self, Ca) {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::new(&folder.path().join("ca.pem"));
        ca.issue(folder.path(), "server", "weir.test");
        ca.issue(folder.path(), "client", "agent");
        (Self(folder), ca)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn pair(&self, name: &str) -> String {
        format!("cert_file: {}, key_file: {}", self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")))
    }

    async fn serve(&self, more: &str) -> (GrpcServer, Arc<Recorder>, component::Host) {
        let (host, recorder) = (host(), Recorder::new(usize::MAX));
        let yaml = format!("tls: {{{}, {more}}}", self.pair("server"));
        (grpc_server(&yaml, &host, &recorder).await, recorder, host)
    }

    fn channel(&self, server: &GrpcServer, tls: &str) -> Arc<GrpcChannel> {
        let yaml = format!("{{endpoint: '{}', tls: {{{tls}}}}}", server.local_addr().unwrap());
        GrpcChannel::new(&decoded(&yaml), client_settings()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What a client needs that trusts the CA.
    fn trusting(&self) -> String {
        format!("ca_file: {}, server_name_override: weir.test", self.path("ca.pem"))
    }
}

async fn echo(channel: &GrpcChannel) -> Result<Bytes, CallError> {
    let deadline = Some(Instant::now() + Duration::from_secs(10));
    let reply = channel.unary(METHODS[0], &[Bytes::from_static(b"hi")], &Context::default(), deadline).await;
    channel.shutdown().await;
    reply.map(|reply| reply.message)
}

#[tokio::test]
async fn servers_are_verified_unless_told_otherwise() {
    let (files, _) = Files::new();
    let (server, _, _host) = files.serve("").await;
    let trusting = files.trusting();
    for good in [
        trusting.as_str(),
        &format!("{trusting}, insecure: true"),
        &format!("{trusting}, min_version: '1.3'"),
        &format!("{trusting}, max_version: '1.2', cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"),
        &format!("{trusting}, curve_preferences: [P256], include_system_ca_certs_pool: true"),
        "insecure_skip_verify: true",
    ] {
        assert_eq!(echo(&files.channel(&server, good)).await.expect(good), "hi");
    }
    for (bad, hint) in [
        ("server_name_override: weir.test", "give the CA in `tls::ca_file`"),
        (
            &format!("ca_file: {}, server_name_override: other.test", files.path("ca.pem")),
            "`tls::server_name_override`",
        ),
    ] {
        let error = echo(&files.channel(&server, bad)).await.unwrap_err();
        assert!(matches!(error, CallError::Transport { phase: Phase::Tls, is_unprocessed: true, .. }), "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
    stop(&server).await;
}

#[tokio::test]
async fn both_sides_agree_on_a_group_that_both_allow() {
    let (files, _) = Files::new();
    let (server, _, _host) = files.serve("curve_preferences: [X25519MLKEM768, P521, P384]").await;
    let with = |groups: &str| format!("{}, curve_preferences: [{groups}]", files.trusting());
    for allowed in ["X25519MLKEM768", "X25519, X25519MLKEM768", "P256, P384", "X25519MLKEM768, P256"] {
        assert_eq!(echo(&files.channel(&server, &with(allowed))).await.expect(allowed), "hi");
    }
    for (refused, more) in [("X25519, P256", ""), ("X25519MLKEM768, X25519", ", max_version: '1.2'")] {
        let error = echo(&files.channel(&server, &format!("{}{more}", with(refused)))).await.unwrap_err();
        assert!(matches!(error, CallError::Transport { phase: Phase::Tls, .. }), "{refused}: {error}");
    }
    stop(&server).await;
}

#[tokio::test]
async fn plaintext_and_tls_that_meet_are_told_so() {
    let (files, _) = Files::new();
    let (server, _, host) = files.serve("").await;
    let error = echo(&files.channel(&server, "insecure: true")).await.unwrap_err().to_string();
    assert!(error.contains("the server speaks TLS: set `tls::insecure` to false"), "{error}");
    let mut stream = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("this port speaks TLS"), "{answer}");
    eventually(|| count(&host, "weir_server_protocol_errors", "plaintext_on_tls_port") >= 2.0).await;
    stop(&server).await;
    let (host, recorder) = (crate::testing::host(), Recorder::new(0));
    let plain = grpc_server("{}", &host, &recorder).await;
    let error = echo(&files.channel(&plain, &files.trusting())).await.unwrap_err().to_string();
    assert!(error.contains("does not speak TLS"), "{error}");
    eventually(|| count(&host, "weir_server_protocol_errors", "tls_on_plaintext_port") >= 1.0).await;
    stop(&plain).await;
}

#[tokio::test]
async fn clients_are_verified_and_their_ca_is_read_again() {
    let (files, _) = Files::new();
    let more = format!("client_ca_file: {}, client_ca_file_reload: true", files.path("ca.pem"));
    let (server, _, _host) = files.serve(&more).await;
    let with = |pair: &str| format!("{}, {}", files.trusting(), files.pair(pair));
    assert_eq!(echo(&files.channel(&server, &with("client"))).await.unwrap(), "hi");
    let error = echo(&files.channel(&server, &files.trusting())).await.unwrap_err();
    assert!(error.code() == component::Code::Unavailable, "{error}");
    // Another CA takes over on the server's side; clients still trust the old one for the server.
    let trusted = std::fs::read_to_string(files.path("ca.pem")).unwrap();
    let other = Ca::new(&files.0.path().join("other.pem"));
    other.issue(files.0.path(), "newcomer", "agent2");
    let pem = |pair: &str| {
        let indented = trusted.replace('\n', "\\n");
        format!("ca_pem: \"{indented}\", server_name_override: weir.test, {}", files.pair(pair))
    };
    assert!(echo(&files.channel(&server, &pem("newcomer"))).await.is_err());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    std::fs::copy(files.path("other.pem"), files.path("ca.pem")).unwrap();
    assert_eq!(echo(&files.channel(&server, &pem("newcomer"))).await.unwrap(), "hi");
    assert!(echo(&files.channel(&server, &pem("client"))).await.is_err());
    stop(&server).await;
}

#[tokio::test]
async fn certificates_are_read_again_and_a_broken_file_keeps_the_old_ones() {
    let (files, ca) = Files::new();
    let (server, _, _host) = files.serve("reload_interval: 30ms").await;
    let named = |name: &str| format!("ca_file: {}, server_name_override: {name}", files.path("ca.pem"));
    assert!(echo(&files.channel(&server, &named("renewed.test"))).await.is_err());
    ca.issue(files.0.path(), "server", "renewed.test");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(echo(&files.channel(&server, &named("renewed.test"))).await.unwrap(), "hi");
    std::fs::write(files.path("server.pem"), "nonsense").unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(echo(&files.channel(&server, &named("renewed.test"))).await.unwrap(), "hi");
    stop(&server).await;
}

struct Hello;

impl HttpHandler for Hello {
    fn route(&self, _: &RequestHead) -> Route {
        Route::Body { key: 0 }
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<pdata::Charge, pdata::Overloaded> {
        pdata::ByteAccount::unlimited().try_charge(bytes)
    }

    fn refuse(&self, _: usize, _: &RequestHead, refusal: Refusal) -> HttpResponse {
        text(refusal.status(), refusal.to_string())
    }

    fn call(
        &self,
        _: usize,
        head: RequestHead,
        body: Vec<u8>,
        _: pdata::Charge,
        _: RequestInfo,
    ) -> component::BoxFuture<'static, HttpResponse> {
        let host_header = head.headers.contains_key("host");
        Box::pin(async move { text(http::StatusCode::OK, format!("{} {host_header}", body.len())) })
    }
}

#[tokio::test]
async fn https_speaks_http2_or_1_as_negotiated_also_through_a_tunnel() {
    let (files, _) = Files::new();
    let host = host();
    let yaml = format!("{{endpoint: '127.0.0.1:0', tls: {{{}}}}}", files.pair("server"));
    let server = HttpServer::start(&decoded(&yaml), &host, settings(&host), Arc::new(Hello)).await.unwrap();
    let address = server.local_addr().unwrap();
    // A proxy that connects to the server whatever it is asked for.
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_url = format!("proxy_url: 'http://{}'", proxy.local_addr().unwrap());
    let forward = tokio::spawn(async move {
        let (mut near, _) = proxy.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(near.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"CONNECT weir.test:443 "));
        near.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
        let mut far = TcpStream::connect(address).await.unwrap();
        // Ends when either side does.
        let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let direct = format!("https://{address}/x");
    for (more, url, expected) in [
        ("max_conns_per_host: 1", direct.as_str(), "70000 false"),
        ("force_attempt_http2: false", &direct, "70000 true"),
        (&proxy_url, "https://weir.test/x", "70000 false"),
    ] {
        let yaml = format!("{{tls: {{{}}}, {more}}}", files.trusting());
        let client = HttpClient::new(&decoded(&yaml), client_settings()).unwrap();
        let body = [Bytes::from(vec![0; 70_000])];
        for _ in 0..3 {
            let deadline = Some(Instant::now() + Duration::from_secs(10));
            let reply = client.post(url, "text/plain", &body, &Context::default(), deadline).await.expect(more);
            assert_eq!((reply.status, &*reply.body), (200, expected.as_bytes()), "{more}");
        }
        client.shutdown().await;
    }
    forward.await.unwrap();
    server.shutdown(Deadline::after(Duration::from_secs(5))).await;
}

#[test]
fn server_settings_without_a_certificate_are_refused() {
    let error = refused::<crate::tls::ServerTlsConfig>("client_ca_file: x");
    assert!(error.contains("must include both certificate and key"), "{error}");
}
