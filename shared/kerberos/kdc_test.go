package kerberos

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"
)

const (
	realm   = "DOMAIN.LOCAL"
	service = "HTTP/cachito.domain.local"
	version = 3
)

// now is when every test happens.
var now = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

func name(components ...string) types.PrincipalName {
	return types.PrincipalName{NameType: 1, NameString: components}
}

// forge makes tickets as a KDC would, and tokens as a client would; a test changes what it is about.
type forge struct {
	server string         // principal the ticket is for, without realm
	realm  string         // of the server
	sname  []string       // as the ticket names it; nil: server
	keys   *keytab.Keytab // of the KDC
	known  *keytab.Keytab // of the service; nil: keys
	etype  int32
	kvno   int

	ticket  messages.EncTicketPart
	client  types.Authenticator
	sealed  types.EncryptionKey // what the client encrypts with; none: the ticket's key
	options []int               // of the AP-REQ
	// cut shortens the cipher texts of ticket and authenticator to so many bytes; 0: it does not.
	cutTicket, cutClient int
	// mechanisms of the negotiation; nil: the token is Kerberos' own, without negotiation.
	mechanisms []asn1.ObjectIdentifier
}

// keysOf makes keys from passwords, as `kadmin` does. Each principal is "name@REALM".
func keysOf(t testing.TB, etype int32, principals ...string) *keytab.Keytab {
	t.Helper()
	k := keytab.New()
	for _, p := range principals {
		pn, r := types.ParseSPNString(p)
		if err := k.AddEntry(pn.PrincipalNameString(), r, "password of "+p, now.Add(-time.Hour), version, etype); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// load takes keys through a file.
func load(t testing.TB, k *keytab.Keytab) *Keytab {
	t.Helper()
	content, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keytab")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func newForge(t testing.TB) *forge {
	t.Helper()
	etype := int32(etypeID.AES256_CTS_HMAC_SHA1_96)
	key := bytes.Repeat([]byte{42}, 32)
	f := &forge{
		server: service, realm: realm, etype: etype, kvno: version,
		keys: keysOf(t, etype, service+"@"+realm),
		ticket: messages.EncTicketPart{
			Flags: types.NewKrbFlags(), Key: types.EncryptionKey{KeyType: etype, KeyValue: key},
			CRealm: realm, CName: name("tbrady"),
			AuthTime: now.Add(-time.Minute), StartTime: now.Add(-time.Minute), EndTime: now.Add(10 * time.Hour),
		},
		client: types.Authenticator{
			AVNO: 5, CRealm: realm, CName: name("tbrady"), CTime: now, Cusec: 1234, SeqNumber: 815,
			Cksum: types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: append([]byte{16, 0, 0, 0}, make([]byte, 20)...)},
		},
		mechanisms: []asn1.ObjectIdentifier{gssapi.OIDKRB5.OID()},
	}
	return f
}

// token makes what the client would send.
func (f *forge) token(t testing.TB) []byte {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	sname := types.NewPrincipalName(1, f.server)
	key, _, err := f.keys.GetEncryptionKey(sname, f.realm, 0, f.etype)
	if err != nil {
		t.Fatal(err)
	}
	if f.sname != nil {
		sname = name(f.sname...)
	}
	secret := asn1tools.AddASNAppTag(must(asn1.Marshal(f.ticket)), asnAppTag.EncTicketPart)
	encrypted, err := crypto.GetEncryptedData(secret, key, keyusage.KDC_REP_TICKET, f.kvno)
	if err != nil {
		t.Fatal(err)
	}
	if f.cutTicket > 0 {
		encrypted.Cipher = encrypted.Cipher[:f.cutTicket]
	}
	ticket := messages.Ticket{TktVNO: 5, Realm: f.realm, SName: sname, EncPart: encrypted}
	key = f.ticket.Key
	if f.sealed.KeyType != 0 {
		key = f.sealed
	}
	sealed, err := crypto.GetEncryptedData(must(f.client.Marshal()), key, keyusage.AP_REQ_AUTHENTICATOR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if f.cutClient > 0 {
		sealed.Cipher = sealed.Cipher[:f.cutClient]
	}
	request := messages.APReq{PVNO: 5, MsgType: 14, APOptions: types.NewKrbFlags(), Ticket: ticket, EncryptedAuthenticator: sealed}
	for _, o := range f.options {
		types.SetFlag(&request.APOptions, o)
	}
	inner := append(must(asn1.Marshal(gssapi.OIDKRB5.OID())), 1, 0)
	inner = asn1tools.AddASNAppTag(append(inner, must(request.Marshal())...), 0)
	if f.mechanisms == nil {
		return inner
	}
	return must((&spnego.SPNEGOToken{Init: true, NegTokenInit: spnego.NegTokenInit{MechTypes: f.mechanisms, MechTokenBytes: inner}}).Marshal())
}

func (f *forge) acceptor(t testing.TB, s Settings) *Acceptor {
	t.Helper()
	if s.Clock == nil {
		s.Clock = f.clock
	}
	known := f.keys
	if f.known != nil {
		known = f.known
	}
	a, err := New(load(t, known), s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (*forge) clock() time.Time { return now }

func withFlag(i int) asn1.BitString {
	f := types.NewKrbFlags()
	types.SetFlag(&f, i)
	return f
}

// proofOf reads an AP-REP out of an answer, as a client does.
func proofOf(t *testing.T, answer []byte, key types.EncryptionKey) messages.EncAPRepPart {
	t.Helper()
	var inner spnego.KRB5Token
	if inner.Unmarshal(answer) != nil {
		var outer spnego.NegTokenResp
		if err := outer.Unmarshal(answer); err != nil {
			t.Fatal(err)
		}
		if outer.State() != spnego.NegStateAcceptCompleted {
			t.Fatalf("negotiation: got state %d, want %d", outer.State(), spnego.NegStateAcceptCompleted)
		}
		if err := inner.Unmarshal(outer.ResponseToken); err != nil {
			t.Fatal(err)
		}
	}
	if !inner.IsAPRep() {
		t.Fatal("the answer holds no AP-REP")
	}
	secret, err := crypto.DecryptEncPart(inner.APRep.EncPart, key, keyusage.AP_REP_ENCPART)
	if err != nil {
		t.Fatal(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(secret); err != nil {
		t.Fatal(err)
	}
	return part
}

var mutual = []int{flags.APOptionMutualRequired}
