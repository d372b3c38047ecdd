package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
)

// mechanism is Kerberos' object identifier. Windows puts an older one with a wrong bit first; the mechanism
// is the same, and the answer repeats whichever the client wrote.
var mechanism = gssapi.OIDKRB5.OID()

// token is what a client sent.
type token struct {
	request messages.APReq
	// negotiated is the client's first choice of mechanism when the token is SPNEGO's (RFC 4178); nil: it is
	// Kerberos' own, as some clients send it.
	negotiated asn1.ObjectIdentifier
}

// parseToken reads a token of either form. SPNEGO's counts only with the client's first choice being Kerberos:
// anything else would take another round trip, between which a server must remember the connection.
func parseToken(b []byte) (*token, error) {
	if len(b) > MaxTokenBytes {
		return nil, fmt.Errorf("the token has %d bytes, more than %d", len(b), MaxTokenBytes)
	}
	t := &token{}
	var inner spnego.KRB5Token
	var outer spnego.SPNEGOToken
	switch err := outer.Unmarshal(b); {
	case err != nil:
		if inner.Unmarshal(b) != nil {
			return nil, fmt.Errorf("the token is neither SPNEGO's nor Kerberos' (NTLM is not supported): %w", err)
		}
	case !outer.Init || len(outer.NegTokenInit.MechTypes) == 0:
		return nil, errors.New("the token begins no negotiation")
	default:
		t.negotiated = outer.NegTokenInit.MechTypes[0]
		if !t.negotiated.Equal(mechanism) && !t.negotiated.Equal(gssapi.OIDMSLegacyKRB5.OID()) {
			return nil, fmt.Errorf("the client's first choice is mechanism %s, want Kerberos' %s", t.negotiated, mechanism)
		}
		if err := inner.Unmarshal(outer.NegTokenInit.MechTokenBytes); err != nil {
			return nil, fmt.Errorf("the token's Kerberos part cannot be read: %w", err)
		}
	}
	if !inner.IsAPReq() {
		return nil, errors.New("the token holds no ticket")
	}
	t.request = inner.APReq
	return t, nil
}

// answer is what the client is sent after its ticket was accepted: the proof that it asked for, if it did,
// in the form that it speaks. It may be nothing.
func (t *token) answer() ([]byte, error) {
	var proof []byte
	if wantsProof(&t.request) {
		var err error
		if proof, err = prove(&t.request); err != nil {
			return nil, err
		}
	}
	if t.negotiated == nil {
		return proof, nil
	}
	response := spnego.NegTokenResp{NegState: asn1.Enumerated(spnego.NegStateAcceptCompleted), SupportedMech: t.negotiated, ResponseToken: proof}
	return response.Marshal()
}

// rejection is SPNEGO's "reject". It tells clients to stop: on a bare "Negotiate" gokrb5's own sends its
// ticket again, for ever.
func rejection() []byte {
	response := spnego.NegTokenResp{NegState: asn1.Enumerated(spnego.NegStateReject)}
	b, err := response.Marshal()
	if err != nil {
		panic(err) // a constant
	}
	return b
}

// The authenticator's "checksum" holds flags (RFC 4121, 4.1.1): a length, 16 bytes of channel binding, the flags.
const (
	flagsOffset = 20
	flagsEnd    = 24
)

// wantsProof reports whether the client asked for mutual authentication: there are two places to say so,
// and libraries disagree about which of them counts.
func wantsProof(r *messages.APReq) bool {
	if flag(r.APOptions, flags.APOptionMutualRequired) {
		return true
	}
	sum := r.Authenticator.Cksum
	return sum.CksumType == chksumtype.GSSAPI && len(sum.Checksum) >= flagsEnd &&
		binary.LittleEndian.Uint32(sum.Checksum[flagsOffset:flagsEnd])&gssapi.ContextFlagMutual != 0
}

// prove makes an AP-REP (RFC 4120, 3.2.4) in a GSS-API token (RFC 4121, 4.1): the client's own time,
// encrypted with the key that only it and the service can have got out of the ticket. gokrb5 can read
// one but not make one.
func prove(r *messages.APReq) ([]byte, error) {
	by := r.Authenticator
	secret, err := asn1.Marshal(messages.EncAPRepPart{CTime: by.CTime.UTC(), Cusec: by.Cusec, SequenceNumber: by.SeqNumber})
	if err != nil {
		return nil, err
	}
	encrypted, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(secret, asnAppTag.EncAPRepPart), r.Ticket.DecryptedEncPart.Key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	reply, err := asn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: encrypted})
	if err != nil {
		return nil, err
	}
	b, err := asn1.Marshal(mechanism)
	if err != nil {
		return nil, err
	}
	b = append(b, 2, 0) // TOK_ID of an AP-REP
	return asn1tools.AddASNAppTag(append(b, asn1tools.AddASNAppTag(reply, asnAppTag.APREP)...), 0), nil
}
