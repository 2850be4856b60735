"""An app, or its notification extension, as a process that the system ends at any moment: `other_process.py HOME KEY PEER TURN`.

It fetches what has come, sends one mail with the turn as its subject, and says so; then it waits to be killed.
"""

import asyncio
import sys

import medipeps
from people import FileVault, draft


async def main(home, key, peer, turn):
    lock = medipeps.StoreLock.VAULT(FileVault(key))
    opened = medipeps.Client.open if int(turn) % 2 else medipeps.Client.open_for_notification
    client = await opened(home, lock)
    print("open", flush=True)
    await client.sync(0)
    print("fetched", flush=True)
    await client.send_mail(draft([peer], f"turn {turn}", "text"), 5)
    print("sent", flush=True)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
