use fantoccini::key::Key;
use guildhall_kernel::Roles;

use super::browser::Driver;
use crate::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_asks_to_join_a_room_is_let_in_and_removed() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let teacher = Roles { teacher: true, ..Roles::default() };
    server.sign_up_with_roles("anna", teacher).await;
    server.sign_up("ben").await;
    let (anna, ben) = tokio::join!(driver.of(&server, "anna"), driver.of(&server, "ben"));
    anna.open("/rooms/new/").await;
    anna.fill("#name", "Office hour").await;
    anna.click("main form button.btn-primary").await;
    anna.find("#m").await;
    let room = anna.path().await;
    ben.open(&room).await;
    ben.click("main form button.btn-primary").await;
    ben.until_at(&format!("{room}waiting/")).await;
    anna.until_shown("#people .asks", "ben").await;
    anna.click("#people .asks form[action*=approve] button").await;
    // The waiting page leads into the room.
    ben.until_at(&room).await;
    ben.find("#m").await;
    anna.press("#m", &format!("Welcome!{}", Key::Enter)).await;
    ben.until_shown("#log", "Welcome!").await;
    ben.press("#m", "Thanks").await;
    anna.until_shown("#typing", "ben").await;
    ben.press("#m", &Key::Enter.to_string()).await;
    anna.until_shown("#log", "Thanks").await;
    anna.open(&format!("{room}people/")).await;
    anna.until_shown("main", "ben").await;
    anna.client.execute("document.querySelector('form button[value=remove]').closest('form').requestSubmit(document.querySelector('form button[value=remove]'))", Vec::new()).await.unwrap();
    ben.until("the removal", async || !ben.has("#composer").await).await;
    ben.client.close().await.unwrap();
    anna.client.close().await.unwrap();
}
