"""What a call costs from Python; `cargo xtask bench calls` prints it beside Rust's."""

import asyncio
import tempfile
import time

import medipeps


async def main():
    with tempfile.TemporaryDirectory() as folder:
        lock = medipeps.StoreLock.PASSPHRASE("a long passphrase")
        client = await medipeps.Client.create(f"{folder}/account", lock)

        async def version():
            medipeps.library_version()

        for name, calls, call in (("version", 20_000, version), ("account", 2_000, client.account)):
            for _ in range(calls // 10):
                await call()
            begun = time.perf_counter_ns()
            for _ in range(calls):
                await call()
            print(f"value calls/python/{name} {(time.perf_counter_ns() - begun) // calls}")
        await client.shut_down()


asyncio.run(main())
