"""
Receiver of Fluentd's forward protocol that only reads and counts, for machines without Fluentd.

Prints its port to stdout, and then every second the number of messages so far.
"""

import asyncio

import msgpack

SECONDS_BETWEEN_LINES = 1.0


async def main() -> None:
    messages = 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal messages
        unpacker = msgpack.Unpacker(strict_map_key=False)
        while data := await reader.read(65536):
            unpacker.feed(data)
            messages += sum(1 for _ in unpacker)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LINES)
        print("messages so far", messages, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
