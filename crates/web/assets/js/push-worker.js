// The service worker: it shows notifications, and opens their pages. It keeps no pages.

self.addEventListener("push", (event) => {
  const message = event.data?.json() ?? {};
  const { title = "", body = "", url = "/", notification } = message;
  const options = { body, data: { url }, tag: notification ? `notification-${notification}` : undefined };
  event.waitUntil(self.registration.showNotification(title, options));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.openWindow(event.notification.data.url));
});
