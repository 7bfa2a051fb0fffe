"""Each provider against a local server that answers as the real one does: results, pages, errors, throttling."""

import contextlib
import json

import pytest

from refsr_bench.builder.fetching.fetch import Client, Policy
from refsr_bench.builder.fetching.network import FetchError, Throttled
from refsr_bench.builder.licenses import of_address
from refsr_bench.builder.pool.providers import PROVIDERS, open_provider
from refsr_bench.builder.pool.providers.base import Hit, Place, Search, plain
from refsr_bench.core.errors import Misuse

BY_SA = "https://creativecommons.org/licenses/by-sa/4.0/"
KEY = "0123456789abcdef0123456789abcdef"
KEYS = ("FLICKR_API_KEY", "SERPAPI_API_KEY", "OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET")


@pytest.fixture
def provider(web, tmp_path, monkeypatch):
    """``provider(name, licenses)``: talks to the local server, never sleeps (waits are in ``.waits``)."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)

    def make(name, licenses=("cc0", "pdm", "by", "by-sa"), **policy):
        policy = {"cache": tmp_path / "cache", "interval": 0, "allow_loopback": True, "retries": 2} | policy
        waits = []
        made = open_provider(name, Client(Policy("tests@example.org", **policy), waits.append), licenses)
        path = {"openverse": "/v1/", "commons": "/w/api.php", "flickr": "/services/rest/", "serpapi": "/search.json"}
        made.endpoint = web.url + path[name]
        made.waits = waits
        return made

    return make


def on_disk(folder):
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# Openverse


def openverse(n, **changes):
    """One result as api.openverse.org/v1/images/ gives it."""
    return {
        "id": f"36537842-b067-4ca0-ad67-{n:012}",
        "title": f"Tower Bridge &amp; Thames {n}",
        "indexed_on": "2019-08-05T22:08:42.343000Z",
        "foreign_landing_url": f"https://www.flickr.com/photos/1@N02/{n}",
        "url": f"https://live.staticflickr.com/1/{n}_b.jpg",
        "creator": "Jane  Doe",
        "creator_url": "https://www.flickr.com/photos/1@N02",
        "license": "by-sa",
        "license_version": "4.0",
        "license_url": BY_SA,
        "provider": "flickr",
        "source": "flickr",
        "category": None,
        "filesize": None,
        "filetype": "jpg",
        "tags": [{"name": "bridge", "accuracy": None}],
        "attribution": '"Tower Bridge" by Jane Doe is licensed under CC BY-SA 4.0.',
        "fields_matched": ["title"],
        "mature": False,
        "height": 683,
        "width": 1024,
        "thumbnail": f"https://api.openverse.org/v1/images/{n}/thumb/",
        "detail_url": f"https://api.openverse.org/v1/images/{n}/",
        "related_url": f"https://api.openverse.org/v1/images/{n}/related/",
        "unstable__sensitivity": [],
        **changes,
    }


def openverse_pages(total, pages=12):
    def page(request):
        number, length = int(request.query["page"]), int(request.query["page_size"])
        assert length <= 20
        results = [openverse(n) for n in range((number - 1) * length, min(number * length, total))]
        about = {"result_count": total, "page_count": pages, "page_size": length, "page": number}
        return about | {"results": results, "warnings": []}

    return page


def test_openverse(web, provider):
    web.pages["/v1/images/"] = openverse_pages(1000)
    hits = list(provider("openverse").search(Search("Tower Bridge"), 45))
    assert len(hits) == len({hit.source_url for hit in hits}) == 45
    assert hits[0] == Hit(
        provider="openverse",
        source_url="https://live.staticflickr.com/1/0_b.jpg",
        landing_url="https://www.flickr.com/photos/1@N02/0",
        creator="Jane Doe",
        creator_url="https://www.flickr.com/photos/1@N02",
        license="by-sa",
        license_version="4.0",
        license_url=BY_SA,
    )
    assert [query["page"] for _, query, _ in web.asked] == ["1", "2", "3"]
    assert web.asked[0][1]["license"] == "cc0,pdm,by,by-sa"
    assert "authorization" not in web.asked[0][2]


def test_openverse_ends_where_the_server_does(web, provider):
    web.pages["/v1/images/"] = openverse_pages(1000)
    assert len(list(provider("openverse").search(Search("a"), 999))) == 240
    assert len(web.asked) == 12

    def shallow(request):
        deep = (401, {}, b'{"detail": "Anonymous requests may only ask for 100 results."}')
        return deep if request.query["page"] == "6" else openverse_pages(1000)(request)

    web.pages["/v1/images/"] = shallow
    assert len(list(provider("openverse").search(Search("b"), 999))) == 100
    web.pages["/v1/images/"] = openverse_pages(0, 0)
    assert list(provider("openverse").search(Search("c"), 9)) == []
    assert list(provider("openverse").search(Search(place=Place(1, 2)), 9)) == []


def test_openverse_hits_that_cannot_be_used_are_left_out(web, provider):
    results = [
        openverse(1, license="by-nc", license_url="https://creativecommons.org/licenses/by-nc/4.0/"),
        openverse(2, license="by", license_url=BY_SA),  # contradicts itself
        openverse(3, url=None),
        openverse(4, url="javascript:alert(1)"),
        openverse(5, creator=None, width=None, height=None, title="<b>x</b>", creator_url="not an address"),
        openverse(5),
        "nonsense",
    ]
    web.pages["/v1/images/"] = {"result_count": 7, "page_count": 1, "page_size": 20, "page": 1, "results": results}
    (hit,) = provider("openverse").search(Search("a"), 9)
    assert (hit.source_url, hit.creator, hit.creator_url) == (openverse(5)["url"], "", "")


def test_openverse_questions_are_short_enough(web, provider):
    web.pages["/v1/images/"] = openverse_pages(1)
    list(provider("openverse").search(Search("stone bridge " * 40), 1))
    assert web.asked[0][1]["q"].endswith(("stone", "bridge"))
    assert 180 < len(web.asked[0][1]["q"]) <= 200


def test_openverse_throttles(web, provider):
    body = json.dumps({"detail": "Request was throttled. Expected available in 3412 seconds."}).encode()
    web.pages["/v1/images/"] = (429, {"Retry-After": "3412", "X-RateLimit-Limit-anon_burst": "5/hour"}, body)
    asker = provider("openverse")
    with pytest.raises(Throttled, match=r"3412 s \(HTTP 429 \(Request was throttled"):
        list(asker.search(Search("a"), 9))
    web.pages["/v1/images/"] = (400, {}, b'{"detail": {"license": ["License \'bx\' does not exist."]}}')
    with pytest.raises(FetchError, match="HTTP 400"):
        list(provider("openverse").search(Search("a"), 9))


def test_openverse_with_an_application(web, provider, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENVERSE_CLIENT_ID", "client-id-1")
    monkeypatch.setenv("OPENVERSE_CLIENT_SECRET", "client-secret-1")
    web.pages["/v1/auth_tokens/token/"] = {
        "access_token": "DLBYIcfnKfolaXKcmMC8RIDCavc2hW",
        "scope": "read write",
        "expires_in": 36000,
        "token_type": "Bearer",
    }
    web.pages["/v1/images/"] = openverse_pages(30, 2)
    assert len(list(provider("openverse").search(Search("a"), 99))) == 30
    assert [headers.get("authorization") for path, _, headers in web.asked if path == "/v1/images/"] == [
        "Bearer DLBYIcfnKfolaXKcmMC8RIDCavc2hW"
    ] * 2
    assert web.forms == [
        {"client_id": "client-id-1", "client_secret": "client-secret-1", "grant_type": "client_credentials"}
    ]
    assert not any(word in on_disk(tmp_path) for word in (b"client-id-1", b"client-secret-1", b"DLBYIcf"))
    web.pages["/v1/auth_tokens/token/"] = (401, {}, b'{"error": "invalid_client"}')
    with pytest.raises(FetchError, match="invalid_client") as caught:
        list(provider("openverse").search(Search("b"), 9))
    assert "client-secret-1" not in str(caught.value)


# Wikimedia Commons


def commons(n, index=0, **changes):
    """One page as the Action API gives it with formatversion=2."""
    info = {
        "size": 4_100_000,
        "width": 5184,
        "height": 3456,
        "thumburl": f"https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/B_{n}.jpg/1920px-B_{n}.jpg",
        "thumbwidth": 1920,
        "thumbheight": 1280,
        "url": f"https://upload.wikimedia.org/wikipedia/commons/a/ab/B_{n}.jpg",
        "descriptionurl": f"https://commons.wikimedia.org/wiki/File:B_{n}.jpg",
        "descriptionshorturl": f"https://commons.wikimedia.org/w/index.php?curid={n}",
        "user": "Some Body",
        "sha1": f"{n:040x}",
        "mime": "image/jpeg",
        "extmetadata": {
            "Artist": {
                "value": '<a href="//commons.wikimedia.org/wiki/User:Jane" title="User:Jane">Jane &amp; Joe</a>',
                "source": "commons-desc-page",
            },
            "Credit": {"value": '<span class="int-own-work" lang="en">Own work</span>', "source": "commons-desc-page"},
            "LicenseShortName": {"value": "CC BY-SA 4.0", "source": "commons-desc-page", "hidden": ""},
            "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0", "source": "commons-desc-page"},
        },
        **changes,
    }
    page = {"pageid": 1000 + n, "ns": 6, "title": f"File:B {n}.jpg", "imagerepository": "local", "imageinfo": [info]}
    return page | ({"index": index} if index else {})


def commons_search(total):
    def page(request):
        first = int(request.query.get("gsroffset", 0))
        last = min(total, first + int(request.query["gsrlimit"]))
        pages = [commons(n, n + 1) for n in reversed(range(first, last))]  # the API sorts by page id, not by rank
        more = {"continue": {"gsroffset": last, "continue": "gsroffset||"}} if last < total else {}
        return {"batchcomplete": True, **more, "query": {"pages": pages}}

    return page


def test_commons(web, provider):
    web.pages["/w/api.php"] = commons_search(120)
    hits = list(provider("commons").search(Search("tower bridge"), 70))
    assert [int(hit.sha1, 16) for hit in hits] == list(range(70))
    assert hits[0] == Hit(
        provider="commons",
        source_url="https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/B_0.jpg/1920px-B_0.jpg",
        landing_url="https://commons.wikimedia.org/wiki/File:B_0.jpg",
        creator="Jane & Joe",
        creator_url="https://commons.wikimedia.org/wiki/User:Jane",
        license="by-sa",
        license_version="4.0",
        license_url="https://creativecommons.org/licenses/by-sa/4.0",
        sha1=f"{0:040x}",
    )
    first = web.asked[0][1]
    assert (first["gsrsearch"], first["gsrnamespace"], first["maxlag"]) == ("filetype:bitmap tower bridge", "6", "5")
    assert first["gsrlimit"] == "50"
    assert len(web.asked) == 2
    assert "tests@example.org" in web.asked[0][2]["user-agent"]


def test_commons_asks_category_then_place_then_words(web, provider):
    def page(request):
        start = {"categorymembers": 0, "geosearch": 2, "search": 4}[request.query["generator"]]
        return {"batchcomplete": True, "query": {"pages": [commons(n) for n in range(start, start + 3)]}}

    web.pages["/w/api.php"] = page
    question = Search("tower bridge", "Category:Tower Bridge", Place.parse("51.5055, -0.0754, 800"))
    hits = list(provider("commons").search(question, 50))
    assert [int(hit.sha1, 16) for hit in hits] == list(range(7))
    asked = [query for _, query, _ in web.asked]
    assert asked[0]["gcmtitle"] == "Category:Tower Bridge"
    assert (asked[1]["ggscoord"], asked[1]["ggsradius"]) == ("51.505500|-0.075400", "800")


def test_commons_goes_on_with_facts_that_were_left_out(web, provider):
    """An answer too long for one piece has all pages, the facts of some, and the others' facts in the next piece."""
    bare = {key: value for key, value in commons(1).items() if key != "imageinfo"}

    def page(request):
        if "iistart" in request.query:
            return {"batchcomplete": True, "query": {"pages": [commons(1, 2)]}}
        go_on = {"iistart": "2019-01-01T00:00:00Z", "continue": "||"}
        return {"continue": go_on, "query": {"pages": [commons(0, 1), bare | {"index": 2}]}}

    web.pages["/w/api.php"] = page
    assert [int(hit.sha1, 16) for hit in provider("commons").search(Search("a"), 9)] == [0, 1]


def facts(short, url=""):
    return {"LicenseShortName": {"value": short}} | ({"LicenseUrl": {"value": url}} if url else {})


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (facts("CC BY-SA 2.0 de", "https://creativecommons.org/licenses/by-sa/2.0/de/deed.en"), ("by-sa", "2.0")),
        (facts("CC0", "http://creativecommons.org/publicdomain/zero/1.0/deed.en"), ("cc0", "1.0")),
        (facts("Public domain"), ("pdm", "")),
        (facts("CC BY 3.0"), ("by", "3.0")),
        (facts("CC BY-NC-ND 4.0"), None),
        (facts("GFDL 1.2", "http://www.gnu.org/licenses/old-licenses/fdl-1.2.html"), None),
        (facts("No restrictions", "https://www.flickr.com/commons/usage/"), None),
        (facts("CC BYE 1.0"), None),
        ([], None),
        (None, None),
        ({"LicenseShortName": "CC0"}, None),
    ],
)
def test_commons_licences(web, provider, metadata, expected):
    web.pages["/w/api.php"] = {"query": {"pages": [commons(1, extmetadata=metadata)]}}
    hits = [(hit.license, hit.license_version) for hit in provider("commons").search(Search("a"), 9)]
    assert hits == ([expected] if expected else [])


def test_commons_takes_photos_only(web, provider):
    kinds = ("image/svg+xml", "application/pdf", "video/webm", "image/gif", "image/png")
    web.pages["/w/api.php"] = {"query": {"pages": [commons(n, mime=kind) for n, kind in enumerate(kinds)]}}
    small = commons(9, thumburl="", width=800, height=600)
    web.pages["/w/api.php"]["query"]["pages"] += [small, {"pageid": 7, "missing": True}, None]
    hits = list(provider("commons").search(Search("a"), 9))
    assert [int(hit.sha1, 16) for hit in hits] == [4, 9]
    assert hits[0].source_url == commons(4)["imageinfo"][0]["thumburl"]
    assert hits[1].source_url == small["imageinfo"][0]["url"]


def test_commons_waits_for_a_lagging_database(web, provider):
    lag = {"code": "maxlag", "info": "Waiting for 10.64.16.7: 5.9 seconds lagged", "lag": 5.9, "type": "db"}
    busy = (200, {"Retry-After": "5", "X-Database-Lag": "5"}, json.dumps({"error": lag}).encode())
    answers = [busy, busy, commons_search(3)]
    web.pages["/w/api.php"] = lambda request: answers.pop(0) if len(answers) > 1 else answers[0](request)
    asker = provider("commons")
    assert len(list(asker.search(Search("a"), 9))) == 3
    assert asker.waits == pytest.approx([5, 5], abs=0.5)
    web.pages["/w/api.php"] = busy
    with pytest.raises(Throttled, match="maxlag: Waiting for"):
        list(provider("commons").search(Search("b"), 9))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": {"code": "invalidcategory", "info": "The category name is not valid."}}, "invalidcategory: The cat"),
        ({"error": "?"}, "error"),
        ([], "not the API's"),
        ((403, {}, b"<html>Please set a user-agent</html>"), "HTTP 403"),
        (b"<html>", "a web page instead of JSON"),
    ],
)
def test_commons_errors(web, provider, answer, words):
    web.pages["/w/api.php"] = answer
    with pytest.raises(FetchError, match=words):
        list(provider("commons").search(Search("a"), 9))


def test_commons_without_results(web, provider):
    web.pages["/w/api.php"] = {"batchcomplete": True}
    assert list(provider("commons").search(Search("a"), 9)) == []
    assert list(provider("commons").search(Search(), 9)) == []
    assert len(web.asked) == 1


# Flickr

LICENSES = [
    {"id": 0, "name": "All Rights Reserved", "url": ""},
    {"id": 3, "name": "CC BY-NC-ND 2.0", "url": "https://creativecommons.org/licenses/by-nc-nd/2.0/"},
    {"id": 4, "name": "CC BY 2.0", "url": "https://creativecommons.org/licenses/by/2.0/"},
    {"id": 7, "name": "No known copyright restrictions", "url": "https://www.flickr.com/commons/usage/"},
    {"id": 9, "name": "CC0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"},
    {"id": 10, "name": "Public Domain Mark", "url": "https://creativecommons.org/publicdomain/mark/1.0/"},
    {"id": 12, "name": "CC BY-SA 4.0", "url": BY_SA},
]


def flickr_photo(n, **changes):
    return {
        "id": str(5000 + n),
        "owner": "66956608@N06",
        "secret": "abc",
        "server": "65535",
        "farm": 66,
        "title": f"Bridge {n}",
        "ispublic": 1,
        "isfriend": 0,
        "isfamily": 0,
        "license": "12",
        "ownername": "Jane Doe",
        "url_l": f"https://live.staticflickr.com/65535/{n}_l.jpg",
        "height_l": 683,
        "width_l": "1024",
        "url_k": f"https://live.staticflickr.com/65535/{n}_k.jpg",
        "height_k": 1365,
        "width_k": 2048,
        **changes,
    }


def flickr(total, photo=flickr_photo):
    def page(request):
        if request.query["method"] == "flickr.photos.licenses.getInfo":
            return {"licenses": {"license": LICENSES}, "stat": "ok"}
        number, length = int(request.query["page"]), int(request.query["per_page"])
        photos = [photo(n) for n in range((number - 1) * length, min(total, number * length))]
        pages = -(-total // length)
        about = {"page": number, "pages": pages, "perpage": length, "total": total, "photo": photos}
        return {"photos": about, "stat": "ok"}

    return page


def test_flickr(web, provider, monkeypatch, tmp_path):
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    web.pages["/services/rest/"] = flickr(150)
    hits = list(provider("flickr").search(Search("tower bridge", place=Place(51.5, -0.07, 800)), 120))
    assert len(hits) == 120
    assert hits[0] == Hit(
        provider="flickr",
        source_url="https://live.staticflickr.com/65535/0_k.jpg",
        landing_url="https://www.flickr.com/photos/66956608@N06/5000",
        creator="Jane Doe",
        creator_url="https://www.flickr.com/people/66956608@N06/",
        license="by-sa",
        license_version="4.0",
        license_url=BY_SA,
    )
    asked = [query for _, query, _ in web.asked]
    assert [query["method"] for query in asked] == ["flickr.photos.licenses.getInfo"] + ["flickr.photos.search"] * 2
    assert asked[1]["license"] == "4,9,10,12"
    assert (asked[1]["text"], asked[1]["lat"], asked[1]["radius"]) == ("tower bridge", "51.5", "0.8")
    assert {query["api_key"] for query in asked} == {KEY}
    assert KEY.encode() not in on_disk(tmp_path)


def test_flickr_photos_under_other_licences_or_without_a_file(web, provider, monkeypatch):
    monkeypatch.setenv("FLICKR_API_KEY", KEY)

    def photo(n):
        changes = [{"license": "0"}, {"license": "7"}, {"license": "99"}, {"url_k": None, "license": 4}]
        bare = {key: value for key, value in flickr_photo(4).items() if not key.startswith("url_")}
        return bare if n == 4 else flickr_photo(n, **changes[n])

    web.pages["/services/rest/"] = flickr(5, photo)
    (hit,) = provider("flickr").search(Search("a"), 9)
    assert (hit.license, hit.source_url[-5:]) == ("by", "l.jpg")


def test_flickr_errors(web, provider, monkeypatch, tmp_path):
    with pytest.raises(Misuse, match="FLICKR_API_KEY"):
        provider("flickr")
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    web.pages["/services/rest/"] = {"stat": "fail", "code": 100, "message": f"Invalid API Key ({KEY})"}
    with pytest.raises(FetchError, match="error 100: Invalid API Key") as caught:
        list(provider("flickr").search(Search("a"), 9))
    assert KEY not in str(caught.value)
    web.pages["/services/rest/"] = {"stat": "fail", "code": 105, "message": "Service currently unavailable"}
    with pytest.raises(Throttled, match="Service currently unavailable"):
        list(provider("flickr").search(Search("a"), 9))
    assert KEY.encode() not in on_disk(tmp_path)


# SerpAPI


def serpapi_image(n, **changes):
    return {
        "position": n + 1,
        "thumbnail": f"https://serpapi.com/searches/1/images/{n}.jpeg",
        "related_content_id": "abc",
        "source": "Example Museum",
        "title": f"Bridge {n}",
        "link": f"https://museum.example/{n}",
        "original": f"https://museum.example/{n}.jpg",
        "original_width": 1600,
        "original_height": 1200,
        "is_product": False,
        "license_details_url": BY_SA,
        **changes,
    }


def serpapi(*pages):
    def page(request):
        number = int(request.query["ijn"])
        following = {"next": "https://serpapi.com/search.json?ijn=1"} if number + 1 < len(pages) else {}
        about = {"search_metadata": {"status": "Success"}, "search_parameters": {"engine": "google_images"}}
        return about | {"images_results": pages[number], "serpapi_pagination": {"current": number} | following}

    return page


def test_serpapi(web, provider, monkeypatch, tmp_path):
    monkeypatch.setenv("SERPAPI_API_KEY", KEY)
    second = [serpapi_image(3, license_details_url=None), serpapi_image(4, license_details_url="https://alamy.it/x")]
    web.pages["/search.json"] = serpapi([serpapi_image(n) for n in range(3)], second)
    hits = list(provider("serpapi").search(Search("bridge"), 9))
    assert [hit.source_url for hit in hits] == [f"https://museum.example/{n}.jpg" for n in range(3)]
    assert (hits[0].landing_url, hits[0].license) == ("https://museum.example/0", "by-sa")
    assert (web.asked[0][1]["engine"], web.asked[0][1]["tbs"]) == ("google_images", "sur:cl")
    with_unknown = list(provider("serpapi", ("by-sa", "unknown")).search(Search("bridge"), 9))
    assert [hit.license for hit in with_unknown] == ["by-sa"] * 3 + ["unknown"] * 2
    assert with_unknown[4].license_url == ""
    assert "tbs" not in web.asked[-1][1]
    assert KEY.encode() not in on_disk(tmp_path)
    asked = len(web.asked)
    monkeypatch.setenv("SERPAPI_API_KEY", KEY[::-1])
    assert list(provider("serpapi").search(Search("bridge"), 9)) == hits
    assert len(web.asked) == asked, "the key is part of the cache's"


def test_serpapi_errors(web, provider, monkeypatch):
    with pytest.raises(Misuse, match="SERPAPI_API_KEY"):
        provider("serpapi")
    monkeypatch.setenv("SERPAPI_API_KEY", KEY)
    web.pages["/search.json"] = {"error": "Google hasn't returned any results for this query."}
    assert list(provider("serpapi").search(Search("a"), 9)) == []
    web.pages["/search.json"] = (401, {}, b'{"error": "Invalid API key. Your API key should be here: ..."}')
    with pytest.raises(FetchError, match="Invalid API key"):
        list(provider("serpapi").search(Search("b"), 9))
    web.pages["/search.json"] = (429, {}, b'{"error": "Your account has run out of searches."}')
    with pytest.raises(Throttled, match="run out of searches") as caught:
        list(provider("serpapi").search(Search("b"), 9))
    assert KEY not in str(caught.value)


# The parts they share


def test_answers_are_cached(web, provider):
    web.pages["/v1/images/"] = openverse_pages(40, 2)
    assert list(provider("openverse").search(Search("a"), 30)) == list(provider("openverse").search(Search("a"), 30))
    assert len(web.asked) == 2


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "answer", [{}, [], {"results": 3, "photos": 3, "query": {}, "images_results": 3, "stat": "ok"}]
)
def test_answers_of_no_known_shape_do_no_harm(web, provider, monkeypatch, name, answer):
    for key in KEYS[:2]:
        monkeypatch.setenv(key, KEY)
    web.pages |= dict.fromkeys(("/v1/images/", "/w/api.php", "/services/rest/", "/search.json"), answer)
    with contextlib.suppress(FetchError):
        assert list(provider(name).search(Search("a"), 9)) == []


def test_closed_and_unknown_providers(provider):
    with pytest.raises(Misuse, match="no new customers"):
        provider("google")
    with pytest.raises(Misuse, match="retired"):
        provider("bing")
    with pytest.raises(Misuse, match="Known: openverse, commons, flickr, serpapi"):
        provider("duck")
    with pytest.raises(Misuse, match="licenses"):
        provider("commons", ("by", "byy"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://creativecommons.org/licenses/by/2.0/", ("by", "2.0")),
        ("http://www.creativecommons.org/licenses/by-nc-sa/3.0/us/", ("by-nc-sa", "3.0")),
        ("https://creativecommons.org/publicdomain/mark/1.0/", ("pdm", "1.0")),
        ("https://creativecommons.org/licenses/by-nd-nc/1.0", ("by-nc-nd", "1.0")),
        ("https://creativecommons.org.evil.example/licenses/by/2.0/", ("unknown", "")),
        ("https://creativecommons.org/licenses/sampling+/1.0/", ("unknown", "")),
        ("https://evil.example/?creativecommons.org/licenses/by/2.0/", ("unknown", "")),
        ("", ("unknown", "")),
    ],
)
def test_licences_by_address(url, expected):
    assert of_address(url) == expected


def test_places():
    assert Place.parse("48.8583 2.2945") == Place(48.8583, 2.2945, 500)
    for text in ("Paris", "48", "91 0", "1 2 5", "1 2 3 4"):
        with pytest.raises(Misuse, match="place"):
            Place.parse(text)


def test_html_becomes_text():
    assert plain("<style>a{}</style><b>Jane</b>\n&lt;Doe&gt;<script>x()</script>") == "Jane <Doe>"
    assert plain(None) == plain(7) == ""
