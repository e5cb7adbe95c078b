//! Made-up logs as programs write them, with a note of every thing in them that a scan should find: for the benchmark, the
//! count of false positives and tests. The same seed gives the same lines.

use detectors::Kind;
use std::fmt::Write as _;

/// Lines of a log.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    /// One per event; stack traces have several physical lines in one.
    pub(crate) lines: Vec<String>,
    /// What is truly there: line, kind, first byte, byte after the last.
    pub(crate) truth: Vec<(usize, Kind, usize, usize)>,
}

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    fn hex(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }

    fn of(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(self.pick(alphabet))).collect()
    }

    fn uuid(&mut self) -> String {
        format!("{}-{}-4{}-a{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }

    fn address(&mut self) -> String {
        match self.below(3) {
            0 => format!("10.{}.{}.{}", self.below(256), self.below(256), self.below(256)),
            1 => format!("192.168.{}.{}", self.below(256), self.below(256)),
            _ => format!("{}.{}.{}.{}", 11 + self.below(200), self.below(256), self.below(256), self.below(256)),
        }
    }

    fn pod(&mut self) -> String {
        let name = self.pick(&["checkout", "cart-service", "payment-gateway", "frontend", "otel-collector"]);
        format!("{name}-{}-{}", self.hex(9), self.of(b"bcdfghjklmnpqrstvwxz2456789", 5))
    }

    fn time(&mut self) -> String {
        let day = format!("2026-{:02}-{:02}", 1 + self.below(12), 1 + self.below(28));
        format!("{day}T{:02}:{:02}:{:02}", self.below(24), self.below(60), self.below(60))
    }
}

/// A line in the making.
struct Line<'a> {
    corpus: &'a mut Corpus,
    text: String,
}

impl Line<'_> {
    /// Something that a scan should find.
    fn plant(&mut self, kind: Kind, what: &str) {
        let start = self.text.len();
        self.text.push_str(what);
        self.corpus.truth.push((self.corpus.lines.len(), kind, start, self.text.len()));
    }

    fn say(&mut self, what: std::fmt::Arguments<'_>) {
        let done = self.text.write_fmt(what);
        assert!(done.is_ok(), "writing to a string");
    }

    fn end(self) {
        self.corpus.lines.push(self.text);
    }
}

/// About `bytes` of lines; of 100 lines `planted` end with a value that is personal or secret. Addresses stand in them as
/// in any log.
pub(crate) fn corpus(seed: u64, bytes: usize, planted: u64) -> Corpus {
    let mut random = Random(seed);
    let mut corpus = Corpus::default();
    let mut written = 0;
    while written < bytes {
        let mut line = Line { corpus: &mut corpus, text: String::new() };
        match random.below(13) {
            0..=2 => access(&mut random, &mut line),
            3..=5 => json(&mut random, &mut line),
            6 => stack_trace(&mut random, &mut line),
            7 => kubernetes(&mut random, &mut line),
            8 | 9 => syslog(&mut random, &mut line),
            10 => hdfs(&mut random, &mut line),
            11 => logfmt(&mut random, &mut line),
            _ => numbers(&mut random, &mut line),
        }
        if random.below(100) < planted {
            line.text.push(' ');
            plant(&mut random, &mut line);
        }
        written += line.text.len() + 1;
        line.end();
    }
    corpus
}

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2",
    "kube-probe/1.28",
    "python-requests/2.31.0",
];

fn access(random: &mut Random, line: &mut Line<'_>) {
    let address = random.address();
    line.plant(Kind::Ipv4, &address);
    let path = match random.below(4) {
        0 => format!("/api/v1/orders/{}", random.digits(8)),
        1 => format!("/static/js/main.{}.js", random.hex(8)),
        2 => format!("/search?q=blue%20shoes&page={}&sort=price", random.below(40)),
        _ => format!("/products/{}?ref=home&size=42", random.uuid()),
    };
    let day = 1 + random.below(28);
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    let (status, size) = (random.pick(&[200, 200, 200, 204, 301, 404, 500]), random.below(100_000));
    line.say(format_args!(
        " - - [{day:02}/Oct/2026:{hour:02}:{minute:02}:{second:02} +0200] \"GET {path} HTTP/1.1\" {status} {size} \"https://shop.example.com/\" \"{}\" 0.{:03}",
        random.pick(&AGENTS),
        random.below(1000)
    ));
}

fn json(random: &mut Random, line: &mut Line<'_>) {
    let message = random.pick(&[
        "order accepted",
        "cache miss, loading from the database",
        "request finished",
        "retrying after timeout: context deadline exceeded",
        "token refreshed",
    ]);
    line.say(format_args!(
        "{{\"ts\":\"{}.{:06}Z\",\"level\":\"info\",\"logger\":\"com.example.shop.OrderService\",\"msg\":\"{message}\",\"trace_id\":\"{}\",\"span_id\":\"{}\",",
        random.time(),
        random.below(1_000_000),
        random.hex(32),
        random.hex(16)
    ));
    line.say(format_args!(
        "\"order_id\":{},\"duration_ms\":{}.{:03},\"epoch\":{},\"thread\":\"http-nio-8080-exec-{}\",\"pod\":\"{}\",\"version\":\"2.{}.{}\"}}",
        random.digits(10),
        random.below(1000),
        random.below(1000),
        1_760_000_000_000 + random.below(100_000_000_000),
        random.below(200),
        random.pod(),
        random.below(30),
        random.below(100)
    ));
}

fn stack_trace(random: &mut Random, line: &mut Line<'_>) {
    line.say(format_args!(
        "java.lang.IllegalStateException: Timeout waiting for connection from pool after {}ms",
        random.below(30_000)
    ));
    for _ in 0..6 + random.below(12) {
        let frame = random.pick(&[
            "org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java",
            "org.apache.catalina.core.ApplicationFilterChain.internalDoFilter(ApplicationFilterChain.java",
            "com.example.shop.OrderController$$EnhancerBySpringCGLIB$$1f2a3b4c.create(<generated>",
            "java.base/java.util.concurrent.ThreadPoolExecutor$Worker.run(ThreadPoolExecutor.java",
            "reactor.core.publisher.FluxMap$MapSubscriber.onNext(FluxMap.java",
        ]);
        line.say(format_args!("\n\tat {frame}:{})", random.below(2000)));
    }
}

fn kubernetes(random: &mut Random, line: &mut Line<'_>) {
    let pod = random.pod();
    match random.below(3) {
        0 => line.say(format_args!(
            "Warning BackOff pod/{pod} Back-off restarting failed container app in pod {pod}_shop({})",
            random.uuid()
        )),
        1 => line.say(format_args!(
            "Normal Pulled pod/{pod} Successfully pulled image \"registry.example.com/shop/app:1.{}.{}@sha256:{}\" in {}.{:03}s",
            random.below(30),
            random.below(30),
            random.hex(64),
            random.below(20),
            random.below(1000)
        )),
        _ => {
            line.say(format_args!("Warning Unhealthy pod/{pod} Readiness probe failed: Get \"http://"));
            let address = random.address();
            line.plant(Kind::Ipv4, &address);
            line.say(format_args!(":8080/ready\": dial tcp timeout, MountVolume.SetUp failed for volume \"certs\" : secret \"tls-{}\" not found", random.hex(5)));
        }
    }
}

fn syslog(random: &mut Random, line: &mut Line<'_>) {
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    line.say(format_args!(
        "Oct {:2} {hour:02}:{minute:02}:{second:02} ip-10-1-2-{} ",
        1 + random.below(28),
        random.below(256)
    ));
    match random.below(4) {
        0 => {
            line.say(format_args!("sshd[{}]: Accepted publickey for deploy from ", random.below(65536)));
            let address = random.address();
            line.plant(Kind::Ipv4, &address);
            line.say(format_args!(" port {} ssh2: ED25519 SHA256:{}", random.below(65536), random.of(BASE64, 43)));
        }
        1 => line.say(format_args!(
            "kernel: [{}.{}] eth0: renamed from veth{}, link up, hw {}:{}:{}:{}:{}:{}",
            random.below(999_999),
            random.digits(6),
            random.hex(7),
            random.hex(2),
            random.hex(2),
            random.hex(2),
            random.hex(2),
            random.hex(2),
            random.hex(2)
        )),
        2 => line
            .say(format_args!("systemd[1]: Started user@{}.service - User Manager for UID 1000.", random.below(2000))),
        _ => line.say(format_args!(
            "dockerd[{}]: time=\"{}.{}+02:00\" level=info msg=\"ignoring event\" container={} module=libcontainerd",
            random.below(65536),
            random.time(),
            random.digits(9),
            random.hex(64)
        )),
    }
}

fn hdfs(random: &mut Random, line: &mut Line<'_>) {
    let sign = random.pick(&["", "-"]);
    line.say(format_args!(
        "0811{:02} {:06} {} INFO dfs.DataNode$DataXceiver: Receiving block blk_{sign}{}{} src: /",
        random.below(31),
        random.below(240_000),
        random.below(9999),
        1 + random.below(9),
        random.digits(18)
    ));
    let (source, target) = (random.address(), random.address());
    line.plant(Kind::Ipv4, &source);
    line.say(format_args!(":{} dest: /", 1024 + random.below(60_000)));
    line.plant(Kind::Ipv4, &target);
    line.say(format_args!(":50010"));
}

fn logfmt(random: &mut Random, line: &mut Line<'_>) {
    line.say(format_args!(
        "time={}.{}Z level=debug caller=engine.go:{} component=query-frontend org_id={} traceID={} msg=\"finished request\" method=GET bytes={} elapsed={}.{}ms commit={} build=v{}.{}.{}-rc.{} ",
        random.time(),
        random.digits(3),
        random.below(2000),
        random.below(100),
        random.hex(16),
        random.below(10_000_000),
        random.below(1000),
        random.digits(6),
        random.hex(40),
        random.below(9),
        random.below(30),
        random.below(30),
        random.below(5)
    ));
    line.say(format_args!("key=user:{}:cart next_page_token=none std::time={}", random.digits(7), random.below(1000)));
}

/// Numbers that look like something else.
fn numbers(random: &mut Random, line: &mut Line<'_>) {
    let seconds = 1_760_000_000 + random.below(100_000_000);
    line.say(format_args!(
        "batch {}-{} s={seconds} ms={seconds}{} us={seconds}{} ns={seconds}{} order {} sku {}-{}-{} ",
        random.digits(4),
        random.digits(4),
        random.digits(3),
        random.digits(6),
        random.digits(9),
        random.digits(12),
        random.digits(4),
        random.digits(5),
        random.digits(3)
    ));
    line.say(format_args!(
        "snowflake {}{} ratio 0.{} heap {} {} {} tracking 1Z{}{} isbn 978-3-{}-{}-{} version {}.{}.{}.{} md5 {} etag \"{}-{}\" seq {} {} {} {}",
        1 + random.below(9),
        random.digits(17),
        random.digits(16),
        random.digits(6),
        random.digits(6),
        random.digits(6),
        random.of(b"ABCDEFGHJKLMNPRSTUVWXYZ0123456789", 6),
        random.digits(10),
        random.digits(2),
        random.digits(6),
        random.digits(1),
        random.below(20),
        random.below(20),
        random.below(20),
        random.below(20),
        random.hex(32),
        random.hex(12),
        random.hex(4),
        random.digits(9),
        random.digits(16),
        random.digits(13),
        random.digits(15)
    ));
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn plant(random: &mut Random, line: &mut Line<'_>) {
    match random.below(16) {
        0 => {
            line.say(format_args!("card "));
            let mut digits = format!("4{}", random.digits(14)).into_bytes();
            digits.push(b'0' + check_digit(&digits));
            let number = String::from_utf8_lossy(&digits).into_owned();
            line.plant(Kind::PaymentCard, &number);
        }
        1 => {
            let (area, group, serial) = (100 + random.below(500), 10 + random.below(90), 1000 + random.below(9000));
            line.say(format_args!("applicant "));
            line.plant(Kind::UsSsn, &format!("{area}-{group}-{serial}"));
        }
        2 | 3 => {
            let name = random.pick(&["jane.doe", "k.tanaka", "info", "o.brien+shop"]);
            line.say(format_args!("mail to "));
            line.plant(Kind::Email, &format!("{name}{}@mail.example.org", random.below(100)));
        }
        4 => {
            line.say(format_args!("peer "));
            line.plant(Kind::Ipv6, &format!("2a02:8109:{}::1{}", random.hex(4), random.hex(2)));
        }
        5 => {
            line.say(format_args!("call "));
            line.plant(Kind::Phone, &format!("+49 151 {}", 10_000_000 + random.below(80_000_000)));
        }
        6 => {
            line.say(format_args!("pay to "));
            line.plant(Kind::Iban, "DE89 3704 0044 0532 0130 00");
        }
        7 => {
            line.say(format_args!("jwt "));
            let token = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.{}", random.of(BASE64, 43));
            line.plant(Kind::Jwt, &token);
        }
        8 => {
            line.say(format_args!("pushed with "));
            line.plant(Kind::ApiToken, &format!("glpat-{}", random.of(BASE64, 20)));
        }
        9 => {
            line.say(format_args!("dsn postgres://"));
            line.plant(Kind::UrlUserinfo, &format!("app:{}", random.of(BASE64, 12)));
            line.say(format_args!("@db.internal:5432/shop"));
        }
        10 => {
            line.say(format_args!("GET /login?session="));
            line.plant(Kind::UrlQuery, &random.hex(32));
            line.say(format_args!("&lang=en"));
        }
        11 => {
            line.say(format_args!("ITIN "));
            line.plant(Kind::UsItin, &format!("9{}-7{}-{}", random.digits(2), random.below(9), random.digits(4)));
        }
        12 => {
            line.say(format_args!("using key "));
            line.plant(Kind::CloudKey, &format!("AKIA{}", random.of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)));
        }
        13 => {
            line.say(format_args!("authorization: bearer "));
            line.plant(Kind::Credentials, &random.of(BASE64, 32));
        }
        14 => {
            line.say(format_args!("loaded "));
            let body = random.of(BASE64, 64);
            line.plant(Kind::PrivateKey, &format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----"));
        }
        _ => {
            line.say(format_args!("password="));
            line.plant(Kind::SecretAssignment, &random.of(BASE64, 14));
        }
    }
}

/// The digit that makes Luhn's sum right.
fn check_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 1 { digit } else { digit * 2 - if digit > 4 { 9 } else { 0 } }
        })
        .sum();
    ((10 - sum % 10) % 10) as u8
}
