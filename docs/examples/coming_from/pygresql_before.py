"""PyGreSQL: print what is said about orders, until somebody says stop."""

from pg import DB, NotificationHandler


def heard(event):
    if event is None:
        print("nothing came")
    else:
        print(event["event"], event["extra"])


handler = NotificationHandler(DB(), "orders", heard, timeout=60, stop_event="stop_orders")
handler.listen()
print("listening")
handler()
handler.close()
