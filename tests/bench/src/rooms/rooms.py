import json

from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from chat.models import Room

names = [f"person{number}" for number in range(max(sizes))]
User.objects.bulk_create(User(username=name, email=f"{name}@example.org") for name in names)
users = list(User.objects.order_by("pk"))
rooms = {}
for size in sizes:
    room = Room.objects.create(name=f"Room of {size}", host=users[0])
    room.participants.add(*users[1:size])
    rooms[size] = room.pk
print(json.dumps({"tokens": [str(AccessToken.for_user(user)) for user in users], "rooms": rooms}))
