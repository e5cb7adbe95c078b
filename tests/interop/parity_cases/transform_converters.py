"""OTTL's converters: each expression is evaluated for one log record, and its value stored in an attribute."""

from parity_cases.data import EVERY, Cases, log, request

A = {key: f'log.attributes["{key}"]' for key in EVERY}
TEXTS = {
    **EVERY,
    "words": "some-Mixed case_TEXT HTTPServer v2Beta ähm",
    "padded": "  padded\t",
    "unicode": "Ünïcödé ✓ 🌊",
    "kv": "a=1 b=2 c=x=y  d= e",
    "quoted": "k1=\"a b\" k2='c d' k3=e",
    "csv": '1,"a,b",x',
    "xml": '<a id="1"><b>text</b><b k="v"/>tail<!--c--><c><d>5</d></c></a>',
    "bad.json": "{a:1}",
    "json.list": '[1, 2.5, "x", null, true, {"a": []}]',
    "json.big": '{"big": 12345678901234567890, "exp": 1e3, "neg": -0, "u": "\\u00e9\\ud83c\\udf0a", "esc": "\\n\\t\\"", "dup": 1, "dup": 2}',
    "stamp": "2024-02-29T13:04:05.123456789Z",
    "card": "4111 1111 1111 1111",
    "numbers": [3, 1, 2],
    "mixed": [3, "b", 1.5, True, "a"],
    "doubles": [2.5, -1.0, 1e3],
    "strings": ["b", "a", "C", "10", "9"],
    "bools": [True, False, True],
    "objects": [{"name": "a", "v": 1}, {"name": "b", "v": {"w": 2}}, {"other": 3}],
    "nested": {"a": {"b": {"c": 1}}, "l": [{"x": 1}, [2, 3]], "s": "t"},
    "flat": {"z": 1, "a": "two", "m": True, "d": 1.5},
    "separators": {"k": "a b", "x=y": "c", "e": ""},
    "sevmap": {"n": 17},
}


def record():
    return request("logs", [log("the body", TEXTS)])


def cases():
    c = Cases("transform")
    for family in (conversions, texts, patterns, collections, parsing, hashes, times, locales, encodings, network, ids, xml):
        prefix = family.__name__
        for expression in family():
            add(c, f"{prefix}: {expression}", expression)
    return c.cases


def add(c, name, expression):
    statement = f'set(log.attributes["out"], {expression})'
    c.add(name, "logs", {"error_mode": "propagate", "log_statements": [statement]}, record())


def a(key):
    return f'log.attributes["{key}"]'


def on(function, keys, *more):
    rest = "".join(f", {part}" for part in more)
    return [f"{function}({a(key)}{rest})" for key in keys]


KINDS = ("text", "empty", "number.text", "float.text", "int", "negative", "double", "yes", "no", "bytes", "list", "map", "nothing", "absent")


def conversions():
    found = []
    for function in ("Int", "Double", "Bool", "String", "IsString", "IsInt", "IsDouble", "IsBool", "IsList", "IsMap", "Len", "Hex"):
        found += on(function, KINDS)
    found += on("String", ("double.large", "double.small", "double.whole", "int.max", "empty.map", "empty.list", "nested", "mixed", "bytes.text", "zero"))
    found += on("Int", ("double.large", "bool.text", "double.whole", "int.max"))[1:] + on("Bool", ("bool.text", "zero", "double.whole"))
    for text in ("1", "-1", "+1", " 1", "1.9", "-1.9", "1e3", "0x10", "0X1F", "0b1", "017", "1_0", "1_000.5", "", "abc", "inf", "-Infinity", "nan", "9223372036854775808", "0x1p-2", ".5", "5.", "1e400"):
        found += [f'Int("{text}")', f'Double("{text}")']
    for text in ("true", "TRUE", "True", "t", "1", "0", "f", "yes", "", "tRUE"):
        found.append(f'Bool("{text}")')
    found += ["Int(1.99)", "Int(-1.99)", "Int(true)", "Double(3)", "Double(true)", "Double(false)", "Bool(2)", "Bool(0.0)", "Bool(1.5)", "String(1.0)", "String(100000000000000000000000.0)", "String(0.000001)", "String(0x0102ff)"]
    for text, base in (("ff", 16), ("0xff", 0), ("FF", 16), ("-12", 10), ("12", 2), ("1010", 2), ("zz", 36), ("", 10), ("9223372036854775808", 10), ("077", 8), ("1", 1), ("1", 37), ("1", -1), ("1_000", 0), ("0b11", 0), ("+7", 10)):
        found.append(f'ParseInt("{text}", {base})')
    found += on("ParseInt", ("number.text", "int", "nothing"), "10")
    found += [f"Log({v})" for v in ("1", "10.5", "0", "-1", '"2.5"', '"x"', "true", "nil", a("double"), a("list"), a("absent"))]
    return found


def texts():
    found = []
    for case in ("lower", "upper", "snake", "camel"):
        found += on("ConvertCase", ("text", "words", "unicode", "empty", "int", "absent"), f'"{case}"')
    for function in ("ToLowerCase", "ToUpperCase", "ToSnakeCase", "ToCamelCase"):
        found += on(function, ("text", "words", "unicode", "empty", "int", "list", "absent"))
        found += [f'{function}("{word}")' for word in ("a", "A", "aB", "HTTPServer", "user_id", "user-id.name", "ID42Name", "x  y", "_lead", "éÉ")]
    found += on("Trim", ("padded", "text", "int", "absent")) + on("Trim", ("text", "words", "unicode"), '"Hd"')
    found += ['Trim("xxhixx", "x")', 'Trim("xyhiyx", "xy")', 'Trim("", "x")', 'Trim("abc", "")', 'Trim(" a ", " ")']
    for function in ("TrimPrefix", "TrimSuffix", "HasPrefix", "HasSuffix"):
        found += on(function, ("text", "empty", "int", "absent", "bytes"), '"Hello"') + on(function, ("text",), '"World"', )
        found += [f'{function}("aXa", "a")', f'{function}("aa", "")', f'{function}("a", {a("absent")})']
    for start, length in ((0, 5), (7, 5), (0, 0), (5, 100), (-1, 2), (12, 0), (12, 1), (0, 12), (3, -1)):
        found.append(f'Substring({a("text")}, {start}, {length})')
    found += [f'Substring({a("unicode")}, 0, 1)', f'Substring({a("unicode")}, 1, 3)', 'Substring("abc", 1, 1)', f'Substring({a("int")}, 0, 1)', f'Substring({a("absent")}, 0, 1)']
    for text, by in (("a,b,c", ","), ("a,b,c", ""), ("", ","), ("abc", "x"), ("a::b", "::"), (",a,", ","), ("äö", "")):
        found.append(f'Split("{text}", "{by}")')
    found += [*on("Split", ("text", "int", "absent", "list"), '","'), 'Split("a|b", "|")[1]', 'Split("a|b", "|")[2]']
    found += [
        f"Concat({values}, {by})"
        for values in ('["a", "b"]', "[]", '["one"]', f'[{a("text")}, {a("int")}, {a("double")}, {a("yes")}]', f'[{a("bytes")}, "x"]', f'["a", {a("absent")}, "b"]', f'["a", {a("map")}]', f'["a", {a("list")}]', '["", ""]', f'[log.body, log.severity_number]', a("strings"), a("mixed"), a("text"))
        for by in ('"-"', '""')
    ]
    found += [
        f'Format("{form}", [{values}])'
        for form, values in (
            ("%s", '"x"'), ("%d", "42"), ("%05d", "42"), ("%x", "255"), ("%X", "255"), ("%08.3f", "3.14159"), ("%g", "1e3"), ("%e", "12345.678"), ("%v", "true"), ("%t", "false"), ("%q", '"a\\"b"'),
            ("%s-%s", '"a"'), ("%s", '"a", "b"'), ("%d", '"x"'), ("%s", "5"), ("%v", a("list")), ("%v", a("map")), ("%v", a("absent")), ("%5s|%-5s|", '"ab", "cd"'), ("%%", ""), ("%c", "65"), ("%o", "8"), ("%b", "5"),
            ("%+d", "3"), ("% d", "3"), ("%#x", "255"), ("%.2s", '"abc"'), ("%U", "8364"), ("%T", "1"), ("%v", "1.0"), ("%v", "1e21"), ("%6.2f%%", "12.345"), ("%[2]s %[1]s", '"a", "b"'), ("%*d", "5, 42"), ("%", ""), ("%z", "1"), ("%v", a("bytes")), ("plain", ""), ("%s", a("text")), ("%x", '"hi"'), ("%d", "1.5"), ("%f", "1"),
        )
    ]
    return found


def patterns():
    found = []
    for pattern in ("World", "^World", "o, W", "(?i)HELLO", "^$", ".", "[0-9]+", r"\\d+", "l{2}"):
        found += on("IsMatch", ("text", "empty", "int"), f'"{pattern}"')
    found += on("IsMatch", ("double", "yes", "bytes", "list", "map", "nothing", "absent", "double.large", "double.whole"), '"[0-9a-z]"')
    found += [f'IsMatch({a("map")}, "inner")', f'IsMatch({a("list")}, "^\\\\[")', f'IsMatch({a("text")}, {a("absent")})', f'IsMatch({a("text")}, Concat(["H", "e"], ""))', f'IsMatch("a", "(")']
    for pattern in ("(?P<first>\\\\w+), (?P<second>\\\\w+)", "(?P<all>.*)", "(?P<none>x{5})", "(?P<a>Hello)(?P<b>x)?", "(?P<first>o)", "(?P<i>(?i)hello)"):
        found += on("ExtractPatterns", ("text",), f'"{pattern}"')
    found += on("ExtractPatterns", ("int", "absent", "empty"), '"(?P<a>.*)"') + [f'ExtractPatterns({a("text")}, "no groups")', f'ExtractPatterns({a("text")}, "(unnamed)")', f'ExtractPatterns({a("text")}, "(?P<first>\\\\w+)")["first"]']
    grok = [
        ('"127.0.0.1 GET /x 12"', '"%{IP:ip} %{WORD:method} %{URIPATHPARAM:path} %{NUMBER:bytes}"'),
        ('"127.0.0.1 GET /x 12"', '"%{IP:ip} %{WORD:method} %{URIPATHPARAM:path} %{INT:bytes:int}"'),
        ('"1.5 x"', '"%{NUMBER:n:float} %{WORD}"'),
        ('"http://user:password@example.com:80/path?query=string"', '"%{ELB_URI}"'),
        ('"http://user:password@example.com:80/path?query=string"', '"%{URI:uri}"'),
        ('"2024-02-29T13:04:05Z ERROR boom"', '"%{TIMESTAMP_ISO8601:t} %{LOGLEVEL:level} %{GREEDYDATA:m}"'),
        ('"nothing"', '"%{IP:ip}"'),
        ('"a=1"', '"%{WORD:k}=%{INT:v}"'),
        ('"55.3.244.1 - frank [10/Oct/2000:13:55:36 -0700] \\"GET /apache_pb.gif HTTP/1.0\\" 200 2326"', '"%{COMMONAPACHELOG}"'),
        ('"x"', '"%{NOSUCH:a}"'),
        ('"abc"', '"(?<first>a)(?P<rest>.*)"'),
        ('"Feb 29 13:04:05 host prog[12]: hello"', '"%{SYSLOGBASE} %{GREEDYDATA:message}"'),
        ('"10.0.0.1"', '"%{IPORHOST:client.ip}"'),
        ('"de:ad:be:ef:00:01"', '"%{MAC:mac}"'),
        ('"123e4567-e89b-12d3-a456-426614174000"', '"%{UUID:id}"'),
    ]
    for text, pattern in grok:
        found += [f"ExtractGrokPatterns({text}, {pattern})", f"ExtractGrokPatterns({text}, {pattern}, false)"]
    found += ['ExtractGrokPatterns("http://user:password@example.com:80", "%{MYURI}", true, ["MYURI=%{URIPROTO:proto}://%{USER:user}"])', f'ExtractGrokPatterns({a("int")}, "%{{INT:i}}")']
    return found


def collections():
    found = []
    for function in ("Keys", "Values"):
        found += on(function, ("flat", "empty.map", "list", "text", "absent"))
        found += [f'{function}({{"k": 1}})']
    found += [f"Len({v})" for v in ('"äö"', "[1, 2]", "{}", a("flat"), a("unicode"), a("empty.list"), a("absent"), "log.attributes", "log.body", "true")]
    for target in ("list", "strings", "numbers", "text", "map", "absent", "doubles"):
        for item in ('"a"', "2", "1.5", "false", "nil", '"World"'):
            found += [f"ContainsValue({a(target)}, {item})", f"Index({a(target)}, {item})"]
    found += ['Index("hello", "l")', 'Index("hello", "")', 'Index("héllo", "l")', "Index([1, 2, 3], 3)", f'ContainsValue([1, "a"], "a")', 'ContainsValue(["a", "b"], log.severity_text)']
    for target in ("numbers", "doubles", "strings", "bools", "mixed", "list", "empty.list", "text", "absent", "objects"):
        for order in ('"asc"', '"desc"'):
            found.append(f"Sort({a(target)}, {order})")
    found += [f'Sort({a("numbers")})', 'Sort(["b", "a"])', 'Sort([2, 1.5, 3])', 'Sort([true, "b"])', 'Sort([3, 2], "up")', 'Sort(Split("c,b,a", ","))']
    found += [
        f'SliceToMap({a("objects")}, ["name"], ["v"])', f'SliceToMap({a("objects")}, ["name"])', f'SliceToMap({a("objects")})', f'SliceToMap({a("strings")})', f'SliceToMap({a("mixed")})',
        f'SliceToMap({a("objects")}, ["v", "w"], ["name"])', f'SliceToMap({a("numbers")}, ["a"])', f'SliceToMap({a("text")})', f'SliceToMap({a("empty.list")})', f'SliceToMap({a("objects")}, value_path=["v"])',
        'SliceToMap([{"n": "x", "v": 1}, {"n": "y", "v": 2}], ["n"], ["v"])', 'SliceToMap([{"n": "x"}, {"n": "x", "second": true}], ["n"])', 'SliceToMap([{"n": 5}], ["n"])', 'SliceToMap([{"n": "x"}], ["n"], ["none"])',
    ]
    for more in ("", ', ":"', ', ":", ","', ', "=", " ", true'):
        found += [f"ToKeyValueString({a('flat')}{more})" for _ in (1,) if "true" in more]
        found += [f"ToKeyValueString({a(key)}{more})" for key in ("separators",) if "true" in more]
    found += ['ToKeyValueString({"a": 1})', 'ToKeyValueString({"a": 1}, ":")', 'ToKeyValueString({"a b": "c d"}, "=", ",", true)', 'ToKeyValueString({"a": {"b": 1}}, "=", ",", true)', 'ToKeyValueString({"a": [1, "x"]}, "=", ",", true)', 'ToKeyValueString({"a": "q\\"q"}, "=", ",", true)', "ToKeyValueString({})", 'ToKeyValueString({"a": 1}, "=", "=")', f'ToKeyValueString({a("text")})', f'ToKeyValueString({a("nested")}, "=", " ", true)', 'ToKeyValueString({"a": ""}, "=", " ", true)', 'ToKeyValueString({"a": nil}, "=", " ", true)', 'ToKeyValueString({"k": "a=b"}, "=", " ", true)']
    found += ['[1, "two", 3.5, true, nil]', '{"a": 1, "b": {"c": [1, 2]}}', "[]", "{}", '{"a": [1, {"b": 2}]}', f'[{a("int")}, {a("text")}]', '{"x": log.attributes["map"]["deeper"]}', '["a", ["b", ["c"]]]', '{"a": nil}', "[nil]"]
    found += [a("nested") + '["a"]["b"]["c"]', a("nested") + '["l"][0]["x"]', a("nested") + '["l"][1][0]', a("nested") + '["none"]["x"]', a("nested") + '["s"]["x"]', a("list") + "[0]", a("list") + "[9]", a("list") + '["x"]', a("nested") + "[0]", 'log.attributes[log.attributes["k"]]', a("list") + "[Int(\"1\")]", a("text") + "[0]", 'log.attributes[Concat(["te", "xt"], "")]']
    return found


def parsing():
    found = on("ParseJSON", ("json", "json.list", "json.big", "bad.json", "text", "empty", "int", "absent"))
    found += [f'ParseJSON("{text}")' for text in ("1", "null", r'\"x\"', "{}", "[]", "{} x", " {} ", r'{\"a\":1}{\"b\":2}', r'{\"a\":}', "[1,]", "true", r'{\"a\":9007199254740993}', r'{\"a\":1.0}', r'{\"a\":1e999}', r'{\"a\":\"\\u0000\"}', "[[[]]]")]
    found += [f'ParseJSON({a("json")})["c"]["d"]', f'ParseJSON({a("json.list")})[2]']
    found += on("ParseKeyValue", ("kv", "quoted", "text", "empty", "int", "absent"))
    found += [f'ParseKeyValue("{text}"{more})' for text, more in (("a:1,b:2", ', ":", ","'), ("a=1", ', "=", "="'), ("a==1", ""), ("a", ""), ("a=1 a=2", ""), ("k1!v1_k2!v2", ', "!", "_"'), (" a=1 ", ""), ("a=\\\"x", ""), ("=v", ""), ("a=1;b=2", ', "=", ";"'), ("a = 1", ""), ("x=\\\"a=b c\\\" y=2", ""), ("a=1\\nb=2", ', "=", "\\n"'), ("a='it''s'", ""), ("a=1", ', ""'))]
    for mode in ("", ', mode="strict"', ', mode="lazyQuotes"', ', mode="ignoreQuotes"', ', mode="none"'):
        found += [f'ParseCSV({a("csv")}, "x,y,z"{mode})', f'ParseCSV("a,b \\"c\\" d,e", "x,y,z"{mode})']
    found += ['ParseCSV("1,2", "a,b,c")', 'ParseCSV("1,2,3", "a,b")', 'ParseCSV("1;2", "a,b", ";", ",")', 'ParseCSV("1|2", "a|b", "|")', 'ParseCSV("", "a")', 'ParseCSV("1\\n2", "a")', 'ParseCSV("\\"1\\n2\\",3", "a,b")', 'ParseCSV("1,2", "a,a")', 'ParseCSV("1,2", "a,b", ";;")', f'ParseCSV({a("int")}, "a")', 'ParseCSV("1,2", "a,b", header_delimiter=",")', 'ParseCSV("\\"a\\"\\"b\\",c", "x,y")', 'ParseCSV(" 1 , 2 ", "a, b")', 'ParseCSV("1\\t2", "a\\tb", "\\t")']
    mapping = '{"error": ["err", "fatal", {"min": 400, "max": 499}], "info": [{"min": 200, "max": 299}, "ok"], "http": [{"range": "5xx"}]}'
    found += [f"ParseSeverity({v}, {mapping})" for v in ('"err"', '"ERR"', '"ok"', "404", "200", "299", "300", "503", '"404"', "true", "nil", "404.0", a("absent"), a("text"))]
    found += ['ParseSeverity("x", {})', 'ParseSeverity(17, {"error": [17]})', 'ParseSeverity(5, {"a": "b"})', 'ParseSeverity(250, {"info": [{"range": "2xx"}]})', 'ParseSeverity("x", {"a": [{"equals": ["x"]}]})', 'ParseSeverity("x", {"a": [{"equals": ["y"]}]})', 'ParseSeverity("x", {"a": ["x"]})']
    found += [f'URL("{text}")' for text in ("https://user:pw@example.com:8443/a/b.html?q=1&r=a%20b#frag", "http://example.com", "http://example.com/", "/relative/path.txt?x", "example.com/path", "ftp://[::1]:21/file.tar.gz", "http://a.b/%zz", "http://a b/", "", "mailto:x@y.z", "http://example.com:port/", "http://u@h/", "urn:isbn:1", "https://example.com/a%2Fb?c=d+e", "//host/p", "http://EXAMPLE.com:80/x.PNG", "http://user:@h/", "?q", "#f")]
    found += on("URL", ("url", "int", "absent"))
    found += [f'UserAgent("{text}")' for text in ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "curl/7.81.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1", "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "Go-http-client/1.1", "", "unknown thing", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "python-requests/2.31.0", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.1 Safari/605.1.15")]
    return found


def hashes():
    found = []
    for function in ("MD5", "SHA1", "SHA256", "SHA512", "FNV", "Murmur3Hash", "Murmur3Hash128", "XXH3", "XXH128"):
        found += on(function, ("text", "empty", "unicode", "int", "bytes", "absent", "yes"))
        found += [f'{function}("{"x" * 200}")', f'{function}("{"ab" * 9}")']
    return found


def times():
    found = []
    forms = [
        ("2024-02-29", "%Y-%m-%d"), ("29/02/24 13:04:05", "%d/%m/%y %H:%M:%S"), ("Feb 29 2024 01:04:05 PM", "%b %d %Y %I:%M:%S %p"), ("Thursday, February 29 2024", "%A, %B %d %Y"),
        ("2024-02-29T13:04:05+02:00", "%Y-%m-%dT%H:%M:%S%z"), ("2024-02-29T13:04:05.123456789Z", "%Y-%m-%dT%H:%M:%S.%LZ"), ("2024-02-29T13:04:05.123", "%Y-%m-%dT%H:%M:%S.%L"), ("2024-02-29T13:04:05.123456", "%Y-%m-%dT%H:%M:%S.%f"),
        ("2024-02-29T13:04:05.123456789", "%Y-%m-%dT%H:%M:%S.%s"), ("1709211845", "%s"), ("2024-060", "%Y-%j"), ("02/29/24", "%D"), ("13:04", "%R"), ("2024-02-29", "%F"), ("13:04:05", "%T"),
        ("2024-02-30", "%Y-%m-%d"), ("2023-02-29", "%Y-%m-%d"), ("x", "%Y"), ("2024", "%Y"), ("24", "%Y"), ("2024-2-9", "%Y-%m-%d"), ("2024-2-9", "%Y-%g-%e"), ("2024-02-29 EST", "%Y-%m-%d %Z"), ("2024-02-29 XYZT", "%Y-%m-%d %Z"), ("2024-02-29 trailing", "%Y-%m-%d"),
        ("", "%Y"), ("2024-02-29", ""), ("Thu Feb 29 13:04:05 2024", "%a %b %e %H:%M:%S %Y"), ("Thu Feb 29 13:04:05 2024", "%c"), ("2024-02-29 1PM", "%Y-%m-%d %l%p"), ("50%", "%y%%"), ("2024\\t02", "%Y%t%m"), ("2024-13-01", "%Y-%m-%d"), ("25:00", "%H:%M"), ("2024-02-29 13:04:60", "%Y-%m-%d %H:%M:%S"),
        ("1709211845123", "%Q"), ("+0130", "%z"), ("2024-02-29T13:04:05-0730", "%Y-%m-%dT%H:%M:%S%z"), ("2024-02-29T13:04:05Z", "%Y-%m-%dT%H:%M:%S%z"), ("12/31/99", "%m/%d/%y"), ("12/31/68", "%m/%d/%y"), ("12/31/69", "%m/%d/%y"), ("2024-02-29T13:04:05 +01:00", "%Y-%m-%dT%H:%M:%S %i"), ("2024-02-29T13:04:05 +01", "%Y-%m-%dT%H:%M:%S %w"), ("x", "%q"), ("5", "%h"),
    ]
    found += [f'UnixNano(Time("{text}", "{form}"))' for text, form in forms]
    zones = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Nowhere/At_All", "", "EST", "Local")
    found += [f'UnixNano(Time("2024-07-01 12:00", "%Y-%m-%d %H:%M", "{zone}"))' for zone in zones]
    found += ['UnixNano(Time("2024-03-10 02:30", "%Y-%m-%d %H:%M", "America/New_York"))', 'UnixNano(Time("2024-11-03 01:30", "%Y-%m-%d %H:%M", "America/New_York"))']
    found += [f'UnixNano(Time("{text}", "%Y-%m-%d %H:%M", "{zone}"))' for text, zone in (("2024-03-31 02:30", "Europe/Berlin"), ("2024-10-27 02:30", "Europe/Berlin"), ("2024-04-07 02:45", "Australia/Lord_Howe"), ("1900-01-01 00:00", "Europe/Paris"), ("2150-07-01 12:00", "Europe/Berlin"))]
    moment = 'Time("2024-02-29T13:04:05.678901234", "%Y-%m-%dT%H:%M:%S.%s", "America/New_York")'
    moment = f'Time({a("stamp")}, "%Y-%m-%dT%H:%M:%S.%LZ")'
    for function in ("Year", "Month", "Day", "Hour", "Minute", "Second", "Nanosecond", "Weekday", "Unix", "UnixNano", "UnixMicro", "UnixMilli", "UnixSeconds"):
        if function != "Unix":
            found += [f"{function}({moment})", f"{function}(log.time)", f"{function}({a('text')})", f'{function}(Time("2024-07-01 00:30", "%Y-%m-%d %H:%M", "Asia/Kolkata"))']
    found += ["UnixNano(Unix(1709211845))", "UnixNano(Unix(1709211845, 5))", "UnixNano(Unix(0))", "UnixNano(Unix(-1, 5))", f'UnixNano(Unix({a("text")}))', "UnixNano(Unix(1.5))"]
    for form in ("%Y-%m-%d", "%H:%M:%S", "%I:%M %p", "%a %A %b %B %h", "%y %g %e %j", "%L", "%f", "%s", "%z", "%Z", "%i", "%w", "%n", "%t", "%%", "%c", "%D %F %R %T", "%l %k", "%q", "", "plain", "%Q", "%U", "%v", "%x %X", "%P", "%o", "%E"):
        found.append(f'FormatTime({moment}, "{form}")')
        if form in ("%z", "%Z", "%H:%M:%S"):
            found.append(f'FormatTime(Time("2024-07-01 12:00", "%Y-%m-%d %H:%M", "America/New_York"), "{form}")')
    found += [f'FormatTime({a("text")}, "%Y")', f'FormatTime({a("absent")}, "%Y")']
    for text in ("1s", "100ms", "1h30m", "-1.5h", "1.5", "", "1d", "2us", "3µs", "4ns", "1h2m3s4ms5us6ns", "0", "+5s", ".5s", "1e3s", "9999999h", "1 s"):
        found += [f'Nanoseconds(Duration("{text}"))']
    for function in ("Hours", "Minutes", "Seconds", "Milliseconds", "Microseconds", "Nanoseconds"):
        found += [f'{function}(Duration("1h30m15.123456789s"))', f'{function}(Duration("-1500us"))', f'{function}({a("int")})', f'{function}({moment} - Time("2024-01-01", "%Y-%m-%d"))']
    found += [f'UnixNano(TruncateTime({moment}, Duration("{unit}")))' for unit in ("1s", "1m", "1h", "24h", "7ms", "0s", "-1s", "168h")]
    found += [f'UnixNano({moment} + Duration("1h"))', f'UnixNano({moment} - Duration("1h"))', f'Nanoseconds(Duration("1h") + Duration("1m"))', f'Nanoseconds(Duration("1h") - Duration("1m"))', f'{moment} + {moment}', f'Nanoseconds(Duration("1h") * 2)', moment, 'Duration("1h")', f'UnixNano(Duration("1h") + {moment})', f'String({moment})', 'String(Duration("1h30m"))', f'Concat([{moment}, "x"], "-")', f'Format("%v", [{moment}])', f'Format("%v", [Duration("90s")])']
    found += [f'IsInt(UnixNano(Now()))', 'Now() > log.time', 'Year(Now()) >= 2024', f'[{moment}]', f'{{"t": {moment}}}', 'log.time', 'log.observed_time']
    return found


# Of each locale: short and long day, short and long month of Tuesday, 5 March, and of Saturday, 14 September; AM and PM if it has them.
LOCALES = {
    "de": ("Di. Dienstag März März", "Sa. Samstag Sept. September", ""),
    "de-AT": ("Di. Dienstag März März", "Sa. Samstag Sep. September", ""),
    "fr": ("mar. mardi mars mars", "sam. samedi sept. septembre", ""),
    "fr-CA": ("mar. mardi mars mars", "sam. samedi sept. septembre", "a.m. p.m."),
    "es": ("mar martes mar marzo", "sáb sábado sept septiembre", "a.m. p.m."),
    "es-MX": ("mar martes mar marzo", "sáb sábado sep septiembre", "a.m. p.m."),
    "pt-BR": ("ter. terça-feira mar. março", "sáb. sábado set. setembro", ""),
    "pt-PT": ("terça terça-feira mar. março", "sábado sábado set. setembro", "a.m. p.m."),
    "ru": ("вт вторник мар. марта", "сб субботу сент. сентября", ""),
    "uk": ("вт вівторок бер. березня", "сб субота вер. вересня", "дп пп"),
    "zh": ("周二 星期二 3月 三月", "周六 星期六 9月 九月", "上午 下午"),
    "zh-Hant": ("週二 星期二 - 3月", "週六 星期六 - 9月", "上午 下午"),
    "ja": ("火 火曜日 - 3月", "土 土曜日 - 9月", "午前 午後"),
    "ko": ("화 화요일 - 3월", "토 토요일 - 9월", "AM PM"),
    "ar": ("الثلاثاء الثلاثاء مارس مارس", "السبت السبت سبتمبر سبتمبر", "ص م"),
    "hi": ("मंगल मंगलवार मार्च मार्च", "शनि शनिवार सित॰ सितंबर", "am pm"),
    "tr": ("Sal Salı Mar Mart", "Cmt Cumartesi Eyl Eylül", "ÖÖ ÖS"),
    "pl": ("wt. wtorek mar marca", "sob. sobota wrz września", ""),
    "el": ("Τρί Τρίτη Μαρ Μαρτίου", "Σάβ Σάββατο Σεπ Σεπτεμβρίου", "π.μ. μ.μ."),
    "en-AU": ("Tue Tuesday Mar March", "Sat Saturday Sept September", "am pm"),
    "en": ("Tue Tuesday Mar March", "Sat Saturday Sep September", "AM PM"),
}


def locales():
    def time(text, form, locale):
        return f'UnixNano(Time("{text}", "{form}", "UTC", "{locale}"))'

    found = []
    for locale, (march, september, halves) in LOCALES.items():
        for day, (short_day, long_day, short_month, long_month) in ((5, march.split()), (14, september.split())):
            found += [time(f"{day:02} {long_month} 2024", "%d %B %Y", locale), time(f"{long_day} {long_month.upper()} {day:02} 2024", "%A %B %d %Y", locale), time(f"{short_day} 2024", "%a %Y", locale)]
            found.append(time(f"{short_day}, {day:02} {short_month} 2024 13:04:05", "%a, %d %b %Y %H:%M:%S", locale))
        for half in halves.split() + ["AM"]:
            found += [time(f"2024-03-05 01:04 {half}", "%Y-%m-%d %I:%M %p", locale), time(f"2024-03-05 01:04{half.upper()}", "%Y-%m-%d %I:%M%P", locale)]
        found += [time("05 March 2024", "%d %B %Y", locale), time("05 Mar 2024 - Tuesday", "%d %b %Y - %A", locale)]
    found += [time(text, form, locale) for text, form, locale in (
        ("29 février 2024", "%d %B %Y", "fr"), ("1 März 2024", "%e %B %Y", "de-DE"), ("1 mar. 2024", "%e %b %Y", "fr"), ("29  février   2024", "%d %B %Y", "fr"), ("29 février2024", "%d %B%Y", "fr"), ("jeudi29", "%A%d", "fr"),
        ("mar 5 mars 2024", "%a %e %b %Y", "fr"), ("5 März 2024", "%g %B %Y", "de"), ("15 März 2024", "%g %B %Y", "de"), ("1:04 p.m. 5 marzo 2024", "%l:%M %p %e %B %Y", "es"), ("11:04 p.m. 5 marzo 2024", "%l:%M %p %e %B %Y", "es"), ("2024-03-05 01:04:05,123 mar", "%Y-%m-%d %H:%M:%S,%L %b", "es"),
        ("2024年3月05日", "%Y年%B%d日", "ja"), ("Mar 05 2024 01:04:05 pm", "%b %d %Y %r", "en"), ("mié mar 06 13:04:05 2024", "%c", "es"),
        ("29 Feb 2024", "%d %b %Y", "xx"), ("29 Feb 2024", "%d %b %Y", "en_US"), ("29 Feb 2024", "%d %b %Y", "EN"), ("29 Feb 2024", "%d %b %Y", ""), ("29 Feb 2024", "%d %b %Y", "en-XX"), ("29 M02 2024", "%d %b %Y", "und"), ("29 Feb 2024", "%d %b %Y", "en-US-u-va-posix"), ("29 شباط 2024", "%d %b %Y", "apc"), ("29 شباط 2024", "%d %B %Y", "apc"), ("الثلاثاء, 05 مارس 2024", "%A, %d %B %Y", "ar"), ("火曜日, 05 3月 2024", "%A, %d %B %Y", "ja"), ("05 March 2024", "%d %B %Y", "sid"),
        ("05 mars 2024", "%d %B %Y", "nb"), ("05 mars 2024", "%d %B %Y", "nn"), ("05 Mac 2024", "%d %B %Y", "ms-ID"), ("05 Mac 2024", "%d %B %Y", "ms"), ("05 Sept 2024", "%d %b %Y", "en-CA"), ("05 Sep 2024", "%d %b %Y", "en-ES"),
    )]
    return list(dict.fromkeys(found))


def encodings():
    found = []
    for encoding in ("base64", "base64-raw", "base64-url", "base64-raw-url", "utf-8", "UTF-8", "us-ascii", "ISO-8859-1", "iso-8859-1", "utf-16", "utf-16le", "utf-16be", "windows-1252", "shift_jis", "gbk", "none", ""):
        found += [f'Decode("aGVsbG8gd29ybGQ=", "{encoding}")', f'Decode("aGk_-w", "{encoding}")', f'Decode({a("bytes")}, "{encoding}")']
    found += on("Decode", ("int", "absent", "text", "bytes.text"), '"base64"')
    found += [f'Base64Decode("{text}")' for text in ("aGVsbG8=", "aGVsbG8", "", "!!", "aGk_", "aGk/")] + on("Base64Decode", ("int", "absent"))
    found += [f"Hex({v})" for v in ("0x00ff", '"hi"', "255", "-1", "1.5", "true", "false", "nil", '""')]
    return found


def network():
    found = []
    for source, destination, more in (
        ('"10.0.0.1", 1234', '"10.0.0.2", 80', ""), ('"10.0.0.2", 80', '"10.0.0.1", 1234', ""), ('"10.0.0.1", 1234', '"10.0.0.2", 80', ', "UDP"'), ('"::1", 1', '"fe80::1", 2', ""), ('"10.0.0.1", 8', '"10.0.0.2", 0', ', "ICMP"'),
        ('"10.0.0.1", 1234', '"10.0.0.2", 80', ', "TCP", 1'), ('"x", 1', '"10.0.0.2", 2', ""), ('"10.0.0.1", 70000', '"10.0.0.2", 2', ""), ('"10.0.0.1", 1', '"10.0.0.2", 2', ', "nope"'), ('"10.0.0.1", 1', '"10.0.0.1", 1', ""), ('"10.0.0.1", 1', '"::1", 1', ""), ('"10.0.0.1", 8', '"10.0.0.2", 0', ', "ICMP6"'), ('"10.0.0.1", 1', '"10.0.0.2", 2', ', "SCTP"'), ('"10.0.0.1", 0', '"10.0.0.2", 2', ""), ('"10.0.0.1", 1', '"10.0.0.2", 2', ', "TCP", -1'), ('"10.0.0.1", 1', '"10.0.0.2", 2', ', "TCP", 70000'), ('"10.0.0.1", 1', '"10.0.0.2", 2', ', "tcp"'),
    ):
        found.append(f"CommunityID({source}, {destination}{more})")
    found += [f'IsValidLuhn("{text}")' for text in ("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "0", "", "79927398713", "79927398714", "abc", "１２")] + on("IsValidLuhn", ("card", "int", "double", "absent", "yes"))
    return found


def ids():
    found = ["TraceID(0x0102030405060708090a0b0c0d0e0f10)", 'TraceID("0102030405060708090a0b0c0d0e0f10")', "TraceID(0x01)", 'TraceID("zz")', "SpanID(0x0102030405060708)", 'SpanID("0102030405060708")', "SpanID(0x01)", 'SpanID("01")', "TraceID(5)", f'TraceID({a("absent")})', 'Len(UUID())', "Len(UUIDv7())", 'IsMatch(UUID(), "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")', 'IsMatch(UUIDv7(), "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")', 'String(TraceID(0x0102030405060708090a0b0c0d0e0f10))', 'Hex(SpanID(0x0102030405060708))', "TraceID(0x00000000000000000000000000000000)", "SpanID(0x0000000000000000)", "log.trace_id", "log.span_id", "log.trace_id.string", "log.span_id.string"]
    return found


def xml():
    found = on("ParseXML", ("xml", "text", "empty", "int", "absent")) + on("ParseSimplifiedXML", ("xml", "text", "empty"))
    found += [f"ParseXML({text})" for text in ('"<a/>"', '"<a>x</a>"', '"<a><b>1</b>t</a>"', '"<a x=\\"1\\" y=\\"2\\"/>"', '"<a><![CDATA[x<y]]></a>"', '"<a>&lt;&#65;</a>"', '"<a><b></a>"', '"<a/><b/>"', '"<?xml version=\\"1.0\\"?><a/>"', '"<n:a xmlns:n=\\"u\\"><n:b/></n:a>"', '"<a>1</a>tail"', '"<a> <b/> </a>"')]
    found += [f"ParseSimplifiedXML({text})" for text in ('"<a/>"', '"<a>x</a>"', '"<a><b>1</b><b>2</b></a>"', '"<a><b>1</b>t</a>"', '"<a x=\\"1\\">y</a>"', '"<a>1</a><b>2</b>"', '"<a><b><c>d</c></b></a>"', '"<a><b/></a>"')]
    document = '"<Log id=\\"1\\"><User><ID>00001</ID><Name type=\\"first\\">Joe</Name></User>text<!--comment--><Empty/></Log>"'
    for path in ("/Log/User/ID", "//Name", "//@type", "/Log/text()", "//comment()", "/None", "//*", "/Log/User/*", "//Name[@type='first']", "bad[", "/Log/@id"):
        found += [f'GetXML({document}, "{path}")', f'RemoveXML({document}, "{path}")', f'InsertXML({document}, "{path}", "<New/>")']
    found += [f"ConvertAttributesToElementsXML({document})", f'ConvertAttributesToElementsXML({document}, "/Log/User/Name")', f"ConvertTextToElementsXML({document})", f'ConvertTextToElementsXML({document}, elementName="Text")', f'ConvertTextToElementsXML({document}, element_name="Text")', f'ConvertTextToElementsXML({document}, "/Log", "T")', 'InsertXML("<a/>", "/a", "<b/>text")', 'InsertXML("<a/>", "/a", "<b")', 'ConvertTextToElementsXML("<a>x<b/></a>")']
    return found
