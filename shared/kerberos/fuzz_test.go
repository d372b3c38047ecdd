package kerberos

import (
	"bytes"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/gssapi"
)

// FuzzAccept changes tokens. Whoever does not have the KDC's keys cannot make one that is somebody else's, and
// one that is let in is let in once.
func FuzzAccept(f *testing.F) {
	kdc := newForge(f)
	f.Add(kdc.token(f))
	kdc.options = mutual
	f.Add(kdc.token(f))
	kdc.mechanisms = []asn1.ObjectIdentifier{gssapi.OIDMSLegacyKRB5.OID(), gssapi.OIDKRB5.OID()}
	f.Add(kdc.token(f))
	kdc.mechanisms = nil
	f.Add(kdc.token(f))
	f.Add(rejection())
	f.Add([]byte("NTLMSSP\x00\x01\x00\x00\x00"))
	keys := kdc.acceptor(f, Settings{}).keytab
	f.Fuzz(func(t *testing.T, token []byte) {
		a, err := New(keys, Settings{Clock: kdc.clock})
		if err != nil {
			t.Fatal(err)
		}
		user, answer, err := a.Accept(token, "192.0.2.1:1")
		if (user == "") != (err != nil) || user != "" && user != "tbrady@"+realm {
			t.Fatalf("user %q, error %v", user, err)
		}
		if err != nil && !bytes.Equal(answer, rejection()) {
			t.Fatalf("answer % x to a refused token", answer)
		}
		if again, _, err := a.Accept(token, ""); err == nil {
			t.Fatalf("let in again as %q", again)
		}
	})
}

// FuzzKeytab reads files. What they hold is never told.
func FuzzKeytab(f *testing.F) {
	content, err := newForge(f).keys.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add(content[:20])
	f.Add([]byte{5, 1, 0, 0})
	f.Fuzz(func(t *testing.T, content []byte) {
		k, err := ParseKeytab(content)
		if (k == nil) != (err != nil) {
			t.Fatalf("keytab %v, error %v", k, err)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Fatalf("the error may hold keys: %q", err)
		}
		if k != nil && len(k.principals) == 0 {
			t.Fatal("a keytab without principals")
		}
	})
}
