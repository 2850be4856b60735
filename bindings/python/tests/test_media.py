"""Photos in groups, through the generated Python."""

import struct
import zlib
from pathlib import Path

import medipeps
from medipeps_server import DOMAIN
from people import PeopleTest


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def photo():
    """A PNG of three by two pixels that says where it was taken."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0abc" * 2))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"tEXt", b"GPS\0" b"48.85 N 2.35 E") + pixels + chunk(b"IEND", b"")


class MediaTest(PeopleTest):
    async def test_a_photo_goes_without_where_it_was_taken(self):
        claire, karim = [await self.person(name, name.title()) for name in ("claire", "karim")]
        for one in (claire, karim):
            await one.sync(0)
        group = (await claire.create_group(medipeps.GroupRequest(name="Ward", members=[f"karim@{DOMAIN}"]))).id
        await karim.sync(0)
        prepared = medipeps.prepare_photo(photo(), "plaie.png", "Jour 3")
        self.assertEqual((prepared.body.width, prepared.body.height, prepared.body.caption), (3, 2, "Jour 3"))
        self.assertIn(b"GPS", photo())
        self.assertNotIn(b"GPS", prepared.document.data)
        self.assertEqual(medipeps.image_without_location(photo()), prepared.document.data)
        said = await claire.say(group, prepared.body, None, [prepared.document])
        await karim.sync(0)
        (there,) = await karim.group_messages(group, 9)
        self.assertEqual((there.id, there.body, there.attachments[0].media_type), (said.id, prepared.body, "image/png"))
        self.assertEqual(await karim.group_message(group, there.number), there)
        (saved,) = await karim.save_group_attachments(group, there.number, self.home("saved"))
        self.assertEqual((Path(saved.path).name, Path(saved.path).read_bytes()), ("plaie.png", prepared.document.data))
        # As it was it is no photo.
        as_it_was = medipeps.Document.DATA(data=photo(), name="plaie.png", media_type="image/png")
        with self.assertRaises(medipeps.MedipepsError.Argument):
            await claire.say(group, prepared.body, None, [as_it_was])
        with self.assertRaises(medipeps.MedipepsError.NotFound):
            await karim.save_group_attachments(group, 99, self.home("saved"))
        for client in (claire, karim):
            await client.shut_down()

    async def test_what_is_neither_is_refused(self):
        for call, reason in (
            (lambda: medipeps.prepare_photo(b"no image", "x.png", ""), "image"),
            (lambda: medipeps.prepare_recording(b"no recording", "x.ogg"), "recording"),
            (lambda: medipeps.image_without_location(b"no image"), "image"),
        ):
            with self.assertRaises(medipeps.MedipepsError.Argument) as error:
                call()
            self.assertEqual(error.exception.reason, reason)

    async def test_the_licence_is_what_the_server_says(self):
        claire = await self.person("claire", "Claire")
        licence = await claire.licence()
        self.assertEqual((licence.standing, licence.ends), (medipeps.LicenceStanding.ACTIVE, None))
        with self.assertRaises(medipeps.MedipepsError.Argument):
            await claire.set_server("elsewhere.example", "no port")
        await claire.set_server("elsewhere.example", "127.0.0.1:4433")
        with self.assertRaises(medipeps.MedipepsError.NotFound):
            await claire.forget_verification(f"karim@{DOMAIN}")
        await claire.shut_down()
