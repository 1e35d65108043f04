use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use guildhall_realtime::RealtimeState;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::harness::messaging;

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Sends a frame.
    async fn send(&mut self, frame: Value) {
        self.0.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// The next frame of this type.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.unwrap().unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == kind {
                return frame;
            }
        }
    }
}

#[tokio::test]
async fn two_people_talk_over_sockets() {
    let harness = messaging().await;
    let id = harness.say(1, 2, "over http").await.conversation_id;
    let sockets = guildhall_realtime::router(RealtimeState::new(harness.streams.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::from(sockets)).await });
    let stream = format!("conversation/{id}");
    let mut clients = Vec::new();
    for user in [1, 2] {
        let (socket, _) = connect_async(format!("ws://{address}/ws/?token={user}")).await.unwrap();
        let mut client = Client(socket);
        client.send(json!({"type": "subscribe", "stream": stream, "after": 0})).await;
        client.next("subscribed").await;
        assert_eq!(client.next("message").await["message"]["content"], "over http");
        clients.push(client);
    }
    let [anna, ben] = &mut clients[..] else { panic!("two clients") };
    anna.send(json!({"type": "message", "stream": stream, "content": "hi", "client_id": "c-1"})).await;
    let (own, other) = (anna.next("message").await, ben.next("message").await);
    assert_eq!(own, other);
    assert_eq!((&own["seq"], &own["message"]["client_id"]), (&json!(2), &json!("c-1")));
    ben.send(json!({"type": "typing", "stream": stream})).await;
    assert_eq!(anna.next("typing").await["user"]["id"], 2);
    ben.send(json!({"type": "read", "stream": stream})).await;
    assert_eq!(anna.next("read").await["up_to"], 2);
    ben.send(json!({"type": "edit", "stream": stream, "id": own["message"]["id"], "content": "x"})).await;
    assert_eq!(ben.next("error").await["code"], "not_sender");
    anna.send(json!({"type": "message", "stream": stream, "content": "hi", "client_id": "c-1"})).await;
    assert_eq!(anna.next("message").await["duplicate"], true);
}
