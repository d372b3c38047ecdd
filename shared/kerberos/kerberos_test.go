package kerberos

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/addrtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

func TestAccepted(t *testing.T) {
	tests := []struct {
		name     string
		settings Settings
		change   func(*forge)
		want     string
	}{
		{"a user", Settings{}, func(*forge) {}, "tbrady@DOMAIN.LOCAL"},
		{"the service named", Settings{Service: service + "@" + realm}, func(*forge) {}, "tbrady@DOMAIN.LOCAL"},
		{"the service named without its realm", Settings{Service: service}, func(*forge) {}, "tbrady@DOMAIN.LOCAL"},
		{"a service as user", Settings{}, func(f *forge) { f.as(realm, "worker", "host1.domain.local") }, "worker/host1.domain.local@DOMAIN.LOCAL"},
		{"a letter that is not ASCII", Settings{}, func(f *forge) { f.as(realm, "jiří") }, "jiří@DOMAIN.LOCAL"},
		{"a name like two components", Settings{}, func(f *forge) { f.as(realm, "a/b") }, `a\/b@DOMAIN.LOCAL`},
		{"a name like one with a realm", Settings{}, func(f *forge) { f.as("EVIL", "tbrady@DOMAIN.LOCAL") }, `tbrady\@DOMAIN.LOCAL@EVIL`},
		{"another realm", Settings{}, func(f *forge) { f.as("PARTNER.TEST", "tbrady") }, "tbrady@PARTNER.TEST"},
		{"another realm that is listed", Settings{Realms: []string{realm, "PARTNER.TEST"}}, func(f *forge) { f.as("PARTNER.TEST", "tbrady") }, "tbrady@PARTNER.TEST"},
		{"by way of a realm that was checked", Settings{}, func(f *forge) {
			f.as("FAR.TEST", "tbrady")
			f.ticket.Transited = messages.TransitedEncoding{TRType: 1, Contents: []byte("PARTNER.TEST")}
			f.ticket.Flags = withFlag(flags.TransitedPolicyChecked)
		}, "tbrady@FAR.TEST"},
		{"the client's clock ahead", Settings{}, func(f *forge) { f.client.CTime = now.Add(4 * time.Minute) }, "tbrady@DOMAIN.LOCAL"},
		{"the client's clock behind", Settings{}, func(f *forge) { f.client.CTime = now.Add(-4 * time.Minute) }, "tbrady@DOMAIN.LOCAL"},
		{"over a minute ago, within the skew", Settings{}, func(f *forge) { f.ticket.EndTime = now.Add(-time.Minute) }, "tbrady@DOMAIN.LOCAL"},
		{"no start time", Settings{}, func(f *forge) { f.ticket.StartTime = time.Time{} }, "tbrady@DOMAIN.LOCAL"},
		{"no key version", Settings{}, func(f *forge) { f.kvno = 0 }, "tbrady@DOMAIN.LOCAL"},
		{"bound to the address", Settings{}, func(f *forge) { f.ticket.CAddr = types.HostAddresses{ipv4(192, 0, 2, 9), ipv4(192, 0, 2, 1)} }, "tbrady@DOMAIN.LOCAL"},
		{"Kerberos' token without negotiation", Settings{}, func(f *forge) { f.mechanisms = nil }, "tbrady@DOMAIN.LOCAL"},
		{"Windows' first choice", Settings{}, func(f *forge) {
			f.mechanisms = []asn1.ObjectIdentifier{gssapi.OIDMSLegacyKRB5.OID(), gssapi.OIDKRB5.OID()}
		}, "tbrady@DOMAIN.LOCAL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newForge(t)
			tt.change(f)
			a := f.acceptor(t, tt.settings)
			got, answer, err := a.Accept(f.token(t), "192.0.2.1:4711")
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
			// Nobody asked for a proof.
			if negotiated := f.mechanisms != nil; (len(answer) > 0) != negotiated {
				t.Errorf("answer % x", answer)
			}
		})
	}
}

func (f *forge) as(realm string, components ...string) {
	f.ticket.CRealm, f.ticket.CName = realm, name(components...)
	f.client.CRealm, f.client.CName = realm, name(components...)
}

func ipv4(b ...byte) types.HostAddress {
	return types.HostAddress{AddrType: addrtype.IPv4, Address: b}
}

func TestRefused(t *testing.T) {
	other := "HTTP/other.domain.local"
	tests := []struct {
		name     string
		settings Settings
		change   func(*testing.T, *forge)
		want     string // in the error
	}{
		{"expired", Settings{}, func(_ *testing.T, f *forge) { f.ticket.EndTime = now.Add(-6 * time.Minute) }, "it held until 2026-11-25T09:54:00Z"},
		{"expired, with a smaller skew", Settings{MaxSkew: time.Second}, func(_ *testing.T, f *forge) { f.ticket.EndTime = now.Add(-2 * time.Second) }, "it held until"},
		{"not yet", Settings{}, func(_ *testing.T, f *forge) { f.ticket.StartTime = now.Add(time.Hour) }, "it holds from 2026-11-25T11:00:00Z on"},
		{"not yet, by the time of login", Settings{}, func(_ *testing.T, f *forge) {
			f.ticket.StartTime, f.ticket.AuthTime = time.Time{}, now.Add(time.Hour)
		}, "it holds from"},
		{"postdated", Settings{}, func(_ *testing.T, f *forge) { f.ticket.Flags = withFlag(flags.Invalid) }, "postdated"},
		{"anonymous by flag", Settings{}, func(_ *testing.T, f *forge) { f.ticket.Flags = withFlag(flagAnonymous) }, "anonymous"},
		{"anonymous by realm", Settings{}, func(_ *testing.T, f *forge) { f.as(anonymousRealm, "WELLKNOWN", "ANONYMOUS") }, "anonymous"},
		{"clock ahead", Settings{}, func(_ *testing.T, f *forge) { f.client.CTime = now.Add(6 * time.Minute) }, "clocks may differ by 5m0s"},
		{"clock behind", Settings{}, func(_ *testing.T, f *forge) { f.client.CTime = now.Add(-6 * time.Minute) }, "it was made at 2026-11-25T09:54:00Z"},
		{"clock a second off with a smaller skew", Settings{MaxSkew: time.Second}, func(_ *testing.T, f *forge) { f.client.CTime = now.Add(-2 * time.Second) }, "clocks may differ by 1s"},
		{"a time with too many microseconds", Settings{}, func(_ *testing.T, f *forge) { f.client.Cusec = 1e6 }, "1000000 microseconds"},
		{"another user's name", Settings{}, func(_ *testing.T, f *forge) { f.client.CName = name("root") }, "it names"},
		// gokrb5's own acceptor lets this one in as tbrady@DOMAIN.LOCAL.
		{"another realm's name", Settings{}, func(_ *testing.T, f *forge) { f.ticket.CRealm = "EVIL.TEST" }, `it names ["tbrady"]@"DOMAIN.LOCAL"`},
		{"a realm that is not listed", Settings{Realms: []string{realm}}, func(_ *testing.T, f *forge) { f.as("PARTNER.TEST", "tbrady") }, `users of realm "PARTNER.TEST" are not let in`},
		{"by way of a realm that nobody checked", Settings{}, func(_ *testing.T, f *forge) {
			f.as("FAR.TEST", "tbrady")
			f.ticket.Transited = messages.TransitedEncoding{TRType: 1, Contents: []byte("PARTNER.TEST")}
		}, "its KDC has not checked"},
		{"a service without a key", Settings{}, func(_ *testing.T, f *forge) {
			f.sname = []string{"HTTP", "other.domain.local"}
		}, `the ticket is for ["HTTP" "other.domain.local"]`},
		// gokrb5's own acceptor lets the next two in.
		{"another service of the keytab", Settings{}, func(t *testing.T, f *forge) {
			f.keys = keysOf(t, f.etype, service+"@"+realm, "host/cachito.domain.local@"+realm)
			f.server = "host/cachito.domain.local"
		}, `the ticket is for ["host"`},
		{"another web service of the keytab than the one named", Settings{Service: service}, func(t *testing.T, f *forge) {
			f.keys = keysOf(t, f.etype, service+"@"+realm, other+"@"+realm)
			f.server = other
		}, `the ticket is for ["HTTP" "other.domain.local"]`},
		{"the same service of another realm", Settings{Service: service + "@" + realm}, func(t *testing.T, f *forge) {
			f.keys = keysOf(t, f.etype, service+"@"+realm, service+"@PARTNER.TEST")
			f.realm = "PARTNER.TEST"
		}, `@"PARTNER.TEST"`},
		{"another key", Settings{}, func(t *testing.T, f *forge) {
			f.known = keysOf(t, f.etype, service+"@"+realm)
			f.known.Entries[0].Key.KeyValue[0] ^= 1
		}, "cannot be decrypted with the keytab"},
		{"a session key that the client does not have", Settings{}, func(_ *testing.T, f *forge) {
			f.sealed = types.EncryptionKey{KeyType: f.etype, KeyValue: make([]byte, 32)}
		}, "sent by somebody who does not have its key"},
		{"a session key of no length", Settings{}, func(_ *testing.T, f *forge) {
			f.sealed, f.ticket.Key = f.ticket.Key, types.EncryptionKey{KeyType: f.etype}
		}, "sent by somebody who does not have its key"},
		{"a key version that is not there", Settings{}, func(_ *testing.T, f *forge) { f.kvno = 7 }, "key version 7"},
		// gokrb5 panics at these two.
		{"a ticket of one byte", Settings{}, func(_ *testing.T, f *forge) { f.cutTicket = 1 }, "the token cannot be read"},
		{"an authenticator of one byte", Settings{}, func(_ *testing.T, f *forge) { f.cutClient = 1 }, "the token cannot be read"},
		{"bound to other addresses", Settings{}, func(_ *testing.T, f *forge) { f.ticket.CAddr = types.HostAddresses{ipv4(192, 0, 2, 9)} }, `"192.0.2.1:4711" is none of them`},
		{"bound to a NetBIOS name", Settings{}, func(_ *testing.T, f *forge) {
			f.ticket.CAddr = types.HostAddresses{{AddrType: 20, Address: []byte("PC          ")}}
		}, "is none of them"},
		{"user to user", Settings{}, func(_ *testing.T, f *forge) { f.options = []int{flags.APOptionUseSessionKey} }, "user-to-user"},
		{"a line break in the name", Settings{}, func(_ *testing.T, f *forge) { f.as(realm, "tbrady\r\nX-Evil: 1") }, "no printable name"},
		{"text that is written backwards", Settings{}, func(_ *testing.T, f *forge) { f.as(realm, "a\u202eb") }, "no printable name"},
		{"bytes that are not UTF-8", Settings{}, func(_ *testing.T, f *forge) { f.as("R\xff", "a") }, "no printable name"},
		{"an empty component", Settings{}, func(_ *testing.T, f *forge) { f.as(realm, "a", "") }, "no printable name"},
		{"no components", Settings{}, func(_ *testing.T, f *forge) { f.as(realm) }, "is no name"},
		{"no realm", Settings{}, func(_ *testing.T, f *forge) { f.as("", "a") }, "is no name"},
		{"a long name", Settings{}, func(_ *testing.T, f *forge) { f.as(realm, strings.Repeat("n", 2000)) }, "more than 1024"},
		{"NTLM first", Settings{}, func(_ *testing.T, f *forge) {
			f.mechanisms = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}, gssapi.OIDKRB5.OID()}
		}, "first choice is mechanism 1.3.6.1.4.1.311.2.2.10"},
		{"no mechanism", Settings{}, func(_ *testing.T, f *forge) { f.mechanisms = []asn1.ObjectIdentifier{} }, "begins no negotiation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newForge(t)
			tt.change(t, f)
			a := f.acceptor(t, tt.settings)
			user, answer, err := a.Accept(f.token(t), "192.0.2.1:4711")
			if err == nil || user != "" {
				t.Fatalf("user %q, error %v; want none and one", user, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
			if !bytes.Equal(answer, rejection()) {
				t.Errorf("answer % x, want a rejection", answer)
			}
			if a.replays.size != 0 {
				t.Error("a refused token takes memory")
			}
		})
	}
}

// TestNoToken: bytes that are nothing, cut off, or changed anywhere, are refused without a panic.
func TestNoToken(t *testing.T) {
	f := newForge(t)
	a := f.acceptor(t, Settings{})
	token := f.token(t)
	refused := func(what string, b []byte) {
		t.Helper()
		if user, _, err := a.Accept(b, ""); err == nil || user != "" {
			t.Errorf("%s: user %q, error %v", what, user, err)
		}
	}
	refused("nothing", nil)
	refused("NTLM", []byte("NTLMSSP\x00\x01\x00\x00\x00\x97\x82\x08\xe2"))
	refused("a rejection", rejection())
	refused("too much", make([]byte, MaxTokenBytes+1))
	for n := range token {
		refused("cut off", token[:n])
	}
	if user, _, err := a.Accept(token, ""); err != nil || user != "tbrady@DOMAIN.LOCAL" {
		t.Errorf("the whole one: %q, %v", user, err)
	}
}

func TestEncryptionTypes(t *testing.T) {
	for etype, keyBytes := range map[int32]int{
		etypeID.AES128_CTS_HMAC_SHA1_96: 16, etypeID.AES256_CTS_HMAC_SHA1_96: 32,
		etypeID.AES128_CTS_HMAC_SHA256_128: 16, etypeID.AES256_CTS_HMAC_SHA384_192: 32, etypeID.RC4_HMAC: 16,
	} {
		f := newForge(t)
		f.etype, f.options = etype, mutual
		f.keys = keysOf(t, etype, service+"@"+realm)
		f.ticket.Key = types.EncryptionKey{KeyType: etype, KeyValue: bytes.Repeat([]byte{7}, keyBytes)}
		user, answer, err := f.acceptor(t, Settings{}).Accept(f.token(t), "")
		if err != nil || user != "tbrady@DOMAIN.LOCAL" {
			t.Errorf("type %d: %q, %v", etype, user, err)
			continue
		}
		if got := proofOf(t, answer, f.ticket.Key); !got.CTime.Equal(now) {
			t.Errorf("type %d: the proof is of %s", etype, got.CTime)
		}
	}
}

// TestProof: a client that wants to know whom it talks to gets its own time back, encrypted.
func TestProof(t *testing.T) {
	tests := []struct {
		name   string
		change func(*forge)
	}{
		{"asked for by an option", func(f *forge) { f.options = mutual }},
		{"asked for by a flag", func(f *forge) { f.client.Cksum.Checksum[flagsOffset] = gssapi.ContextFlagMutual }},
		{"without negotiation", func(f *forge) { f.options, f.mechanisms = mutual, nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newForge(t)
			tt.change(f)
			_, answer, err := f.acceptor(t, Settings{}).Accept(f.token(t), "")
			if err != nil {
				t.Fatal(err)
			}
			want := messages.EncAPRepPart{CTime: now, Cusec: 1234, SequenceNumber: 815}
			if diff := cmp.Diff(want, proofOf(t, answer, f.ticket.Key)); diff != "" {
				t.Errorf("proof (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReplayed: a token counts once, however often and however closely together it comes.
func TestReplayed(t *testing.T) {
	f := newForge(t)
	at := now
	var mu sync.Mutex
	a := f.acceptor(t, Settings{Clock: func() time.Time { mu.Lock(); defer mu.Unlock(); return at }})
	// As late as it gets, with the client's clock as far ahead as it may be.
	f.client.CTime, f.client.Cusec = now.Add(DefaultMaxSkew), 0
	token := f.token(t)
	var accepted atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, _, err := a.Accept(token, ""); err == nil {
				accepted.Add(1)
			} else if !errors.Is(err, errReplayed) {
				t.Errorf("refused with %v, want %v", err, errReplayed)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 1 {
		t.Errorf("accepted %d times, want once", accepted.Load())
	}
	for _, later := range []time.Duration{time.Second, 5*time.Minute + time.Second, 10 * time.Minute, 10*time.Minute + time.Second, time.Hour} {
		mu.Lock()
		at = now.Add(later)
		mu.Unlock()
		if _, _, err := a.Accept(token, ""); err == nil {
			t.Errorf("accepted again after %s", later)
		}
	}

	// Other tokens of the same user in the same microsecond are other tokens.
	at = f.client.CTime
	f.client.SeqNumber++
	if _, _, err := a.Accept(f.token(t), ""); err != nil {
		t.Error(err)
	}
	f.client.SubKey = f.ticket.Key
	if _, _, err := a.Accept(f.token(t), ""); err != nil {
		t.Error(err)
	}
}

func TestKeytabRefused(t *testing.T) {
	whole, err := keysOf(t, etypeID.AES256_CTS_HMAC_SHA1_96, service+"@"+realm, "host/a@"+realm).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	none, err := keytab.New().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	outdated := keysOf(t, etypeID.AES256_CTS_HMAC_SHA1_96, service+"@"+realm)
	outdated.Entries[0].Key.KeyType = 3 // single DES
	des, err := outdated.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(whole)
	huge[2], huge[3] = 0x7f, 0xff
	tests := []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "no keytab file"},
		{"something else", []byte("-----BEGIN PRIVATE KEY-----\n"), "no keytab file"},
		{"cut off", whole[:40], "no keytab file"},
		{"a length that is none", huge, "no keytab file"},
		{"without keys", none, "no key"},
		{"with outdated keys only", des, "no key of a type that is supported"},
		{"too large", append(bytes.Clone(whole), make([]byte, maxKeytabBytes)...), "more than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keytab")
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadKeytab(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, want %s and %q", err, path, tt.want)
			}
			if len(err.Error()) > 400 || strings.Contains(err.Error(), string(whole[60:70])) {
				t.Errorf("the error may hold keys: %q", err)
			}
		})
	}
	if _, err := LoadKeytab(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestServices: which principals of a keytab count.
func TestServices(t *testing.T) {
	keys := load(t, keysOf(t, etypeID.AES256_CTS_HMAC_SHA1_96, "host/a@R", "HTTP/a@R", "HTTP/b@R", "HTTP/a@R", "HTTP@R", "HTTP/a@S"))
	tests := []struct {
		service string
		want    []string
		err     string
	}{
		{"", []string{"HTTP/a@R", "HTTP/b@R", "HTTP/a@S"}, ""},
		{"HTTP/a@R", []string{"HTTP/a@R"}, ""},
		{"HTTP/a", []string{"HTTP/a@R", "HTTP/a@S"}, ""},
		{"host/a@R", []string{"host/a@R"}, ""},
		{"HTTP/c@R", nil, "the keytab has no key of HTTP/c@R; it has keys of host/a@R, HTTP/a@R, HTTP/b@R, HTTP@R, HTTP/a@S"},
	}
	for _, tt := range tests {
		t.Run(tt.service, func(t *testing.T) {
			a, err := New(keys, Settings{Service: tt.service})
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, a.Services()); diff != "" {
				t.Errorf("services (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := New(load(t, keysOf(t, etypeID.AES256_CTS_HMAC_SHA1_96, "host/a@R")), Settings{}); err == nil || !strings.Contains(err.Error(), "no key of a principal that begins with HTTP/; it has keys of host/a@R") {
		t.Errorf("no web service: %v", err)
	}
}

func TestIsAddress(t *testing.T) {
	v6 := types.HostAddress{AddrType: addrtype.IPv6, Address: append(make([]byte, 15), 1)}
	tests := []struct {
		address types.HostAddress
		remote  string
		want    bool
	}{
		{ipv4(192, 0, 2, 1), "192.0.2.1:80", true},
		{ipv4(192, 0, 2, 1), "192.0.2.1", true},
		{ipv4(192, 0, 2, 1), "[::ffff:192.0.2.1]:80", true},
		{ipv4(192, 0, 2, 1), "192.0.2.2:80", false},
		{v6, "[::1]:80", true},
		{v6, "::1", true},
		{v6, "127.0.0.1:80", false},
		{ipv4(192, 0, 2, 1), "@", false},
		{ipv4(192, 0, 2, 1), "", false},
	}
	for _, tt := range tests {
		if got := isAddress(tt.address, tt.remote); got != tt.want {
			t.Errorf("%v and %q: got %v, want %v", tt.address, tt.remote, got, tt.want)
		}
	}
}
