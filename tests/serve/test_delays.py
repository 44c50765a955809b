"""Nothing that is sent waits for what the other side says of the last: a delayed acknowledgement takes 40 ms."""

from __future__ import annotations

import asyncio
import socket

from attnsearch.serve.server import listen


def test_connections_send_at_once():
    async def connect() -> list[int]:
        options = []

        class Taken(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                options.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        (listener,) = listen("127.0.0.1", 0)
        server = await asyncio.get_running_loop().create_server(Taken, sock=listener)
        async with server:
            _, writer = await asyncio.open_connection(*listener.getsockname())
            while not options:
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()
        return options

    assert asyncio.run(connect()) == [1]
