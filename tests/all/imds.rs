//! Metadata services on loopback, good and bad ones.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A service that runs until the test ends.
pub(crate) struct Service {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

/// A question to a service.
pub(crate) struct Question {
    /// Method and path, such as `GET /latest/user-data`.
    pub(crate) line: String,
    /// The headers in lower case, such as `metadata-flavor: google`.
    headers: Vec<String>,
    /// How often this has been asked before.
    pub(crate) before: usize,
}

impl Question {
    pub(crate) fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line == header)
    }

    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub(crate) fn is_put(&self) -> bool {
        self.line.starts_with("PUT ")
    }
}

/// What a service answers.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    /// Further headers, each with its line end.
    headers: String,
    body: Vec<u8>,
    manner: Manner,
}

#[derive(Clone, Copy)]
enum Manner {
    AtOnce,
    /// Half of the body, then the connection is closed.
    CutOff,
    /// A byte at a time, for ever.
    Slow,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: Vec::new(), manner: Manner::AtOnce }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    pub(crate) fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }

    /// As Google answers.
    pub(crate) fn google(self) -> Self {
        self.with("Metadata-Flavor: Google")
    }

    pub(crate) fn cut_off(self) -> Self {
        Self { manner: Manner::CutOff, ..self }
    }

    pub(crate) fn slow(self) -> Self {
        Self { manner: Manner::Slow, ..self }
    }

    fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let Self { status, headers, body, manner } = self;
        let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        match manner {
            Manner::AtOnce => stream.write_all(&[head.as_bytes(), body].concat()),
            Manner::CutOff => {
                stream.write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat())?;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
            Manner::Slow => {
                stream.write_all(
                    format!("HTTP/1.1 {status} X\r\nContent-Length: 1000000\r\n\r\n").as_bytes(),
                )?;
                loop {
                    stream.write_all(b"x")?;
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

impl Service {
    /// A service that answers like this.
    pub(crate) fn start(answer: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::accept(move |stream, log| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut stream = stream;
            while let Some(question) = read_question(&mut reader, log) {
                if answer(&question).send(&mut stream).is_err() {
                    break;
                }
            }
        })
    }

    /// A service that accepts connections and never says anything.
    pub(crate) fn silent() -> Self {
        Self::accept(|mut stream, log| {
            log.lock().unwrap().push("a connection".to_owned());
            // Until the other side has had enough.
            drop(stream.read_to_end(&mut Vec::new()));
        })
    }

    fn accept(serve: impl Fn(TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (serve, shared) = (Arc::new(serve), Arc::clone(&log));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (serve, log) = (Arc::clone(&serve), Arc::clone(&shared));
                thread::spawn(move || serve(stream.unwrap(), &log));
            }
        });
        Self { address, log }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The questions so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn read_question(reader: &mut impl BufRead, log: &Mutex<Vec<String>>) -> Option<Question> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|len| *len > 0).map(|_| line.trim_end().to_owned())
    };
    let first = line()?.strip_suffix(" HTTP/1.1").expect("no question begins like this").to_owned();
    let mut headers = Vec::new();
    loop {
        match line()? {
            header if header.is_empty() => break,
            header => headers.push(header.to_ascii_lowercase()),
        }
    }
    let mut log = log.lock().unwrap();
    let before = log.iter().filter(|line| **line == first).count();
    log.push(first.clone());
    Some(Question { line: first, headers, before })
}

/// The token that [`ec2`] gives and asks for.
pub(crate) const TOKEN: &str = "AQAAAsecret-token==";

/// What EC2 answers with version 2, and a user data of this.
pub(crate) fn ec2(question: &Question, userdata: &str) -> Answer {
    match question.path() {
        "/latest/api/token" if !question.is_put() => Answer::status(405),
        "/latest/api/token" if question.has("x-aws-ec2-metadata-token-ttl-seconds: 21600") => {
            Answer::ok(TOKEN)
        }
        "/latest/api/token" => Answer::status(400),
        _ if question.is_put() => Answer::status(403),
        _ if !question.has(&format!("x-aws-ec2-metadata-token: {}", TOKEN.to_ascii_lowercase())) => {
            Answer::status(401)
        }
        path => ec2_v1(path, userdata),
    }
}

/// What EC2 answers with version 1.
pub(crate) fn ec2_v1(path: &str, userdata: &str) -> Answer {
    let Some(key) = path.strip_prefix("/latest/meta-data/") else {
        return if path == "/latest/user-data" && !userdata.is_empty() {
            Answer::ok(userdata)
        } else {
            Answer::status(404)
        };
    };
    Answer::ok(match key {
        "" => {
            "ami-id\nhostname\ninstance-id\ninstance-type\nlocal-hostname\nlocal-ipv4\nplacement/\npublic-ipv4\npublic-keys/"
        }
        "hostname" | "local-hostname" => "ip-10-0-0-7.ec2.internal",
        "instance-id" => "i-0123456789abcdef0",
        "instance-type" => "t3.micro",
        "local-ipv4" => "10.0.0.7",
        "placement/availability-zone" => "eu-central-1a",
        "public-ipv4" => "203.0.113.7",
        "public-keys/" => "0=first\n1=second",
        "public-keys/0/openssh-key" => {
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV first\n"
        }
        "public-keys/1/openssh-key" => {
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= second"
        }
        _ => return Answer::status(404),
    })
}

/// What Google's server answers.
pub(crate) fn google(question: &Question, userdata: &str) -> Answer {
    if !question.has("metadata-flavor: google") {
        return Answer::status(403).google();
    }
    let Some(key) = question.path().strip_prefix("/computeMetadata/v1/") else {
        return Answer::status(404).google();
    };
    match key {
        "instance/hostname" => Answer::ok("web.c.project.internal").google(),
        "instance/attributes/ssh-keys" => Answer::ok("alice:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV alice").google(),
        "project/attributes/ssh-keys" => Answer::ok("bob:ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= bob\n").google(),
        "instance/attributes/user-data" if !userdata.is_empty() => Answer::ok(userdata).google(),
        _ => Answer::status(404).google(),
    }
}
