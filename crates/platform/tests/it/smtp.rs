use guildhall_kernel::mail::{DeliveryError, Mail, Mailer};
use guildhall_platform::SmtpMailer;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A mail server that serves one session and rejects recipients with `rejection`. Returns the lines it received.
async fn server(rejection: Option<&'static str>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let session = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, rejection).await
    });
    (format!("smtp://{address}"), session)
}

async fn serve(stream: TcpStream, rejection: Option<&'static str>) -> Vec<String> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut received = Vec::new();
    let mut in_email = false;
    write.write_all(b"220 mail.example.org\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let reply = match line.split(' ').next().unwrap_or_default() {
            "." => {
                in_email = false;
                "250 queued"
            }
            _ if in_email => "",
            "EHLO" => "250 mail.example.org",
            "DATA" => {
                in_email = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            "RCPT" => rejection.unwrap_or("250 ok"),
            _ => "250 ok",
        };
        received.push(line);
        if !reply.is_empty() && write.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
            break;
        }
        if reply.starts_with("221") {
            break;
        }
    }
    received
}

fn mail() -> Mail {
    Mail {
        to: "anna@example.org".into(),
        subject: "Hello".into(),
        text: "plain text".into(),
        html: "<p>rich text</p>".into(),
        unsubscribe_url: None,
    }
}

fn mailer(url: &str) -> SmtpMailer {
    SmtpMailer::new(url, "Guild <guild@example.org>").unwrap()
}

#[tokio::test]
async fn sends_an_email() {
    let (url, session) = server(None).await;
    let mailer = mailer(&url);
    mailer.send(7, &mail()).await.unwrap();
    drop(mailer);
    let received = session.await.unwrap().join("\n");
    for part in [
        "MAIL FROM:<guild@example.org>",
        "RCPT TO:<anna@example.org>",
        "Subject: Hello",
        "plain text",
        "rich text",
        "<outbox-7@example.org>",
    ] {
        assert!(received.contains(part), "{part}: {received}");
    }
}

#[tokio::test]
async fn distinguishes_permanent_and_transient_rejections() {
    for (rejection, permanent) in [("550 no such person", true), ("451 try again", false)] {
        let (url, _session) = server(Some(rejection)).await;
        let error = mailer(&url).send(7, &mail()).await.unwrap_err();
        assert_eq!(matches!(error, DeliveryError::Permanent(_)), permanent, "{error}");
        assert!(error.to_string().contains(&rejection[4..]), "{error}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_a_transient_failure() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mailer = mailer(&format!("smtp://{port}"));
    assert!(matches!(mailer.check().await, Err(DeliveryError::Transient(_))));
    assert!(matches!(mailer.send(7, &mail()).await, Err(DeliveryError::Transient(_))));
    let (url, _session) = server(None).await;
    let reachable = SmtpMailer::new(&url, "Guild <guild@example.org>").unwrap();
    reachable.check().await.unwrap();
}
