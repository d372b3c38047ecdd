package integrity_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/integrity"
)

var (
	sum512 = sha512.Sum512([]byte("abc"))
	sum384 = sha512.Sum384([]byte("abc"))
	sum256 = sha256.Sum256([]byte("abc"))
	sum224 = sha256.Sum224([]byte("abc"))
	sumSHA = sha1.Sum([]byte("abc"))
	sumMD5 = md5.Sum([]byte("abc"))

	d512 = integrity.Digest{Algorithm: "sha512", Sum: string(sum512[:])}
	d384 = integrity.Digest{Algorithm: "sha384", Sum: string(sum384[:])}
	d256 = integrity.Digest{Algorithm: "sha256", Sum: string(sum256[:])}
	d224 = integrity.Digest{Algorithm: "sha224", Sum: string(sum224[:])}
	dSHA = integrity.Digest{Algorithm: "sha1", Sum: string(sumSHA[:])}
	dMD5 = integrity.Digest{Algorithm: "md5", Sum: string(sumMD5[:])}

	all = []integrity.Digest{d512, d384, d256, d224, dSHA, dMD5} // the strongest first
)

func TestPrint(t *testing.T) {
	const digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := d256.Hex(); got != digits {
		t.Errorf("Hex() = %s, want %s", got, digits)
	}
	if got := d256.String(); got != "sha256:"+digits {
		t.Errorf("String() = %s", got)
	}
	if got := d256.SRI(); got != "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" {
		t.Errorf("SRI() = %s", got)
	}
}

func TestNewAndStrength(t *testing.T) {
	for i, d := range all {
		h := integrity.New(d.Algorithm)
		h.Write([]byte("abc"))
		if got := string(h.Sum(nil)); got != d.Sum {
			t.Errorf("%s of abc is %x, want %s", d.Algorithm, got, d.Hex())
		}
		if i > 0 && integrity.Strength(d.Algorithm) >= integrity.Strength(all[i-1].Algorithm) {
			t.Errorf("%s is not weaker than %s", d.Algorithm, all[i-1].Algorithm)
		}
	}
	for _, name := range []string{"", "sha3", "SHA256", "sha512-256"} {
		if integrity.New(name) != nil || integrity.Strength(name) != 0 {
			t.Errorf("%q is taken for a known algorithm", name)
		}
	}
}

func TestStrongest(t *testing.T) {
	other := integrity.Digest{Algorithm: "sha256", Sum: strings.Repeat("x", 32)}
	unknown := integrity.Digest{Algorithm: "blake3", Sum: strings.Repeat("x", 64)}
	for _, test := range []struct {
		name       string
		list, want []integrity.Digest
	}{
		{"none", nil, nil},
		{"only unknown ones", []integrity.Digest{unknown}, nil},
		{"unknown ones do not count", []integrity.Digest{unknown, dMD5}, []integrity.Digest{dMD5}},
		{"one of each", []integrity.Digest{dMD5, d256, dSHA}, []integrity.Digest{d256}},
		{"several of the strongest, each once, in order", []integrity.Digest{other, dSHA, d256, other}, []integrity.Digest{other, d256}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, integrity.Strongest(test.list)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseChecksum(t *testing.T) {
	for _, d := range all {
		for _, text := range []string{d.String(), strings.ToUpper(d.String())} {
			if got, err := integrity.ParseChecksum(text); got != d || err != nil {
				t.Errorf("ParseChecksum(%q) = %v, %v", text, got, err)
			}
		}
	}
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", `checksum "" is not of the form algorithm:digest`},
		{"no algorithm", d256.Hex(), "is not of the form algorithm:digest"},
		{"empty algorithm", ":" + d256.Hex(), `hash algorithm "" is not supported`},
		{"unknown algorithm", "sha3:00", `hash algorithm "sha3" is not supported`},
		{"no digest", "sha256:", "sha256 digest has 0 bytes instead of 32"},
		{"too short", "sha256:" + dSHA.Hex(), "sha256 digest has 20 bytes instead of 32"},
		{"too long", "sha1:" + d256.Hex(), "sha1 digest has 32 bytes instead of 20"},
		{"odd digits", "md5:" + dMD5.Hex()[1:], "is not hexadecimal"},
		{"no digits", "md5:zz", `digest "zz" is not hexadecimal`},
		{"white space", "md5:" + dMD5.Hex() + "\n", "is not hexadecimal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := integrity.ParseChecksum(test.text); err == nil || !strings.Contains(err.Error(), test.want) || got != (integrity.Digest{}) {
				t.Errorf("got %v, %v, want an error with %q", got, err, test.want)
			}
		})
	}
}

func TestParseSRI(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []integrity.Digest
	}{
		{"one", d512.SRI(), []integrity.Digest{d512}},
		{"several, in order", d256.SRI() + " " + d512.SRI(), []integrity.Digest{d256, d512}},
		{"any white space", "\t" + dSHA.SRI() + "\n\r\n" + d384.SRI() + " ", []integrity.Digest{dSHA, d384}},
		{"options mean nothing", d256.SRI() + "?foo=bar?x", []integrity.Digest{d256}},
		{"unknown algorithms are passed over", "sha3-zzz " + d256.SRI() + " x-", []integrity.Digest{d256}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := integrity.ParseSRI(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	raw := base64.RawStdEncoding.EncodeToString([]byte(d256.Sum))
	url := base64.URLEncoding.EncodeToString([]byte(d256.Sum))
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", `integrity "" holds no hash of a supported algorithm`},
		{"only unknown ones", "sha3-abcd", `integrity "sha3-abcd" holds no hash of a supported algorithm`},
		{"no dash", "sha256", `integrity "sha256" is not of the form algorithm-base64`},
		{"a checksum", d256.String(), "is not of the form algorithm-base64"},
		{"no padding", "sha256-" + raw, "is not base64"},
		{"base64 for URLs", "sha256-" + url, "is not base64"},
		{"bits left over", strings.Replace(d256.SRI(), "0=", "1=", 1), "is not base64"},
		{"too short", "sha256-AAAA", `integrity "sha256-AAAA": sha256 digest has 3 bytes instead of 32`},
		{"of another algorithm", strings.Replace(d512.SRI(), "sha512", "sha256", 1), "sha256 digest has 64 bytes instead of 32"},
		{"one bad among good ones", d256.SRI() + " md5-AAAA", `integrity "md5-AAAA": md5 digest has 3 bytes instead of 16`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := integrity.ParseSRI(test.text); err == nil || !strings.Contains(err.Error(), test.want) || got != nil {
				t.Errorf("got %v, %v, want an error with %q", got, err, test.want)
			}
		})
	}
}

func FuzzParseSRI(f *testing.F) {
	for _, d := range all {
		f.Add(d.SRI())
		f.Add(d.SRI() + "?o " + d512.SRI())
	}
	for _, seed := range []string{"", "sha512-", "sha3-x", "sha256-AAAA", "-", "sha1-====", "sha256-" + strings.Repeat("A", 43) + "B"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := integrity.ParseSRI(text)
		if err != nil {
			if list != nil {
				t.Errorf("%q gives %v with error %v", text, list, err)
			}
			return
		}
		if len(list) == 0 || len(list) > len(text) {
			t.Fatalf("%q gives %d digests", text, len(list))
		}
		var printed []string
		for _, d := range list {
			printed = append(printed, d.SRI())
		}
		back, err := integrity.ParseSRI(strings.Join(printed, " "))
		if err != nil {
			t.Fatalf("%q: its own print %q does not parse: %v", text, printed, err)
		}
		if diff := cmp.Diff(list, back); diff != "" {
			t.Errorf("%q: printed and read again (-want +got):\n%s", text, diff)
		}
		if len(integrity.Strongest(list)) == 0 {
			t.Errorf("%q: no digest is the strongest", text)
		}
	})
}

func FuzzParseChecksum(f *testing.F) {
	for _, d := range all {
		f.Add(d.String())
		f.Add(strings.ToUpper(d.String()))
	}
	for _, seed := range []string{"", ":", "sha256:", "sha256:00", "md5:zz", "sha256:sha256:00", "ſha1:" + dSHA.Hex()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := integrity.ParseChecksum(text)
		if err != nil {
			if d != (integrity.Digest{}) {
				t.Errorf("%q gives %v with error %v", text, d, err)
			}
			return
		}
		if len(d.Sum) != integrity.New(d.Algorithm).Size() {
			t.Errorf("%q gives a digest of %d bytes", text, len(d.Sum))
		}
		if back, err := integrity.ParseChecksum(d.String()); back != d || err != nil {
			t.Errorf("%q: printed as %q, read again as %v, %v", text, d, back, err)
		}
		if d.String() != strings.ToLower(text) {
			t.Errorf("%q is printed as %q", text, d)
		}
	})
}
