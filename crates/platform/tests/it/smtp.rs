use guildhall_kernel::mail::{Mail, Mailer, Undelivered};
use guildhall_platform::SmtpMailer;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A mail server that takes one conversation, and refuses recipients with `refusal`.
async fn server(refusal: Option<&'static str>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let conversation = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        talk(stream, refusal).await
    });
    (format!("smtp://{address}"), conversation)
}

async fn talk(stream: TcpStream, refusal: Option<&'static str>) -> Vec<String> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut heard = Vec::new();
    let mut in_letter = false;
    write.write_all(b"220 mail.example.org\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match line.split(' ').next().unwrap_or_default() {
            "." => {
                in_letter = false;
                "250 taken"
            }
            _ if in_letter => "",
            "EHLO" => "250 mail.example.org",
            "DATA" => {
                in_letter = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            "RCPT" => refusal.unwrap_or("250 fine"),
            _ => "250 fine",
        };
        heard.push(line);
        if !answer.is_empty() && write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            break;
        }
        if answer.starts_with("221") {
            break;
        }
    }
    heard
}

fn mail() -> Mail {
    Mail {
        to: "anna@example.org".into(),
        subject: "Hello".into(),
        text: "plain words".into(),
        html: "<p>rich words</p>".into(),
    }
}

fn mailer(url: &str) -> SmtpMailer {
    SmtpMailer::new(url, "Guild <guild@example.org>").unwrap()
}

#[tokio::test]
async fn a_letter_is_handed_over() {
    let (url, conversation) = server(None).await;
    let mailer = mailer(&url);
    mailer.send(7, &mail()).await.unwrap();
    drop(mailer);
    let heard = conversation.await.unwrap().join("\n");
    for part in [
        "MAIL FROM:<guild@example.org>",
        "RCPT TO:<anna@example.org>",
        "Subject: Hello",
        "plain words",
        "rich words",
        "<outbox-7@example.org>",
    ] {
        assert!(heard.contains(part), "{part}: {heard}");
    }
}

#[tokio::test]
async fn a_refusal_for_good_is_told_from_one_for_now() {
    for (refusal, for_good) in [("550 no such person", true), ("451 try again", false)] {
        let (url, _conversation) = server(Some(refusal)).await;
        let refused = mailer(&url).send(7, &mail()).await.unwrap_err();
        assert_eq!(matches!(refused, Undelivered::ForGood(_)), for_good, "{refused}");
        assert!(refused.to_string().contains(&refusal[4..]), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mailer = mailer(&format!("smtp://{port}"));
    assert!(matches!(mailer.check().await, Err(Undelivered::ForNow(_))));
    assert!(matches!(mailer.send(7, &mail()).await, Err(Undelivered::ForNow(_))));
    let (url, _conversation) = server(None).await;
    let there = SmtpMailer::new(&url, "Guild <guild@example.org>").unwrap();
    there.check().await.unwrap();
}
