"""A KuCoin that runs on loopback: its REST and WebSocket, spot and futures, without a socket of its own. Floor 4.

`simulator` is the way in; `session` is one WebSocket connection, `streams` what it pushes, `rest` the answers.
"""
