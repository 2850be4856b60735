"""Being woken: through the generated Python, a real server, and no push service but refusals."""

import medipeps
from people import PeopleTest

ENDPOINT = medipeps.PushEndpoint
KEYS = medipeps.PushKeys(
    p256dh="BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    auth="BTBZMqHH6r4Tts7J_aSIgg",
)


class WakeTest(PeopleTest):
    async def test_an_app_says_where_it_is_woken_and_hears_what_the_server_says(self):
        claire = await self.person("claire", "Claire")
        self.assertIsNone(await claire.wake())
        services = await claire.push_services()
        self.assertEqual((services.vapid_key, services.apns, services.fcm), (None, [], []))
        for endpoint in (
            ENDPOINT.WEB_PUSH(url="https://push.elsewhere.example/up/1", keys=None),
            ENDPOINT.APNS(app="example.clinic.App", token=b"\x00\xfc"),
        ):
            wake = await claire.set_wake(endpoint)
            self.assertEqual(wake.endpoint, endpoint)
            self.assertEqual(wake.state.reason, "PushServiceRefused")
        listed = ENDPOINT.WEB_PUSH(url="https://push.example/up/1", keys=KEYS)
        wake = await claire.set_wake(listed)
        self.assertEqual((wake.endpoint, wake.state.is_set()), (listed, True))
        self.assertEqual(await claire.wake(), wake)
        self.assertIsNone(await claire.set_wake(None))
        self.assertIsNone(await claire.wake())

    async def test_what_is_no_endpoint_is_refused(self):
        claire = await self.person("claire", "Claire")
        for wrong in (
            ENDPOINT.WEB_PUSH(url="http://push.example/", keys=None),
            ENDPOINT.WEB_PUSH(url="https://push.example/", keys=medipeps.PushKeys(p256dh="AAAA", auth="AAAA")),
            ENDPOINT.FCM(project="clinic-7", token=""),
        ):
            with self.assertRaises(medipeps.MedipepsError.Argument):
                await claire.set_wake(wrong)
        self.assertIsNone(await claire.wake())
