"""A class that is led: codes and nicknames, the log of a room and what follows from it, and where it is stored.

A room is a log of events. `room.Room` is the fold of one: the same events in the same order always give the same room.
`store` keeps the log (`sqlite`), and `rooms` holds the rooms of this server and who is connected to them.
"""
