package api

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// identity tells who calls: a name given by a trusted proxy, else the subject of a verified client
// certificate.
func (c *call) identity() string {
	if c.Identify != nil {
		return c.Identify(c.r)
	}
	if c.IdentityHeader != "" {
		if name := c.r.Header.Get(c.IdentityHeader); name != "" {
			return name
		}
	}
	if t := c.r.TLS; t != nil && len(t.VerifiedChains) > 0 {
		return subject(t.VerifiedChains[0][0].RawSubject)
	}
	return ""
}

// attributes are the short names of RFC 4514, 3, and the one that OpenSSL adds.
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "STREET",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "emailAddress",
}

// subject prints a certificate's subject as RFC 4514 has it, the most specific part first:
//
//	CN=tbrady,OU=serviceusers,DC=domain,DC=local
//
// pkix.Name forgets the order of attributes and does not know DC. A subject that cannot be read is no
// identity.
func subject(raw []byte) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return ""
	}
	var parts []string
	for _, set := range sequence {
		var values []string
		for _, a := range set {
			name, known := attributes[a.Type.String()]
			text, isText := a.Value.(string)
			switch {
			case known && isText:
				values = append(values, name+"="+escapeValue(text))
			default:
				der, err := asn1.Marshal(a.Value)
				if err != nil {
					return ""
				}
				values = append(values, a.Type.String()+"=#"+hex.EncodeToString(der))
			}
		}
		parts = append(parts, strings.Join(values, "+"))
	}
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}

// escapeValue escapes an attribute's value (RFC 4514, 2.4).
func escapeValue(s string) string {
	var b strings.Builder
	for i, r := range s {
		first, last := i == 0, i == len(s)-1
		switch {
		case strings.ContainsRune(`,+"\<>;`, r), r == '#' && first, r == ' ' && (first || last):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\%02X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
