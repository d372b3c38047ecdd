package kerberos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/keytab"
)

// maxKeytabBytes is the largest keytab that is read; one of a service has a few hundred bytes.
const maxKeytabBytes = 1 << 20

// Keytab holds the keys of services, as `kadmin ktadd` and `ktpass` write them.
type Keytab struct {
	keys       *keytab.Keytab
	principals []principal // with a key that can be used, each once
}

// LoadKeytab reads a keytab file. Errors say what is wrong with it, and never hold any of its bytes: they
// are keys. A file that is not there is fs.ErrNotExist.
func LoadKeytab(path string) (*Keytab, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxKeytabBytes+1))
	if err != nil {
		return nil, err
	}
	k, err := ParseKeytab(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// ParseKeytab reads a keytab's bytes, from a store of secrets for instance. The same holds for its errors.
func ParseKeytab(content []byte) (k *Keytab, err error) {
	// gokrb5's own errors print the file, keys and all, and damaged lengths make it panic.
	damaged := errors.New("it is no keytab file, or a damaged one")
	defer func() {
		if recover() != nil {
			k, err = nil, damaged
		}
	}()
	if len(content) > maxKeytabBytes {
		return nil, fmt.Errorf("it has more than %d bytes, too many for a keytab file", maxKeytabBytes)
	}
	k = &Keytab{keys: &keytab.Keytab{}}
	if k.keys.Unmarshal(content) != nil {
		return nil, damaged
	}
	for _, e := range k.keys.Entries {
		p := principal{e.Principal.Components, e.Principal.Realm}
		if _, err := crypto.GetEtype(e.Key.KeyType); err != nil || len(p.components) == 0 || len(e.Key.KeyValue) == 0 {
			continue // single DES, Camellia: there may be another key of the same principal
		}
		if !slices.ContainsFunc(k.principals, func(q principal) bool { return p.realm == q.realm && slices.Equal(p.components, q.components) }) {
			k.principals = append(k.principals, p)
		}
	}
	if len(k.principals) == 0 {
		return nil, errors.New("it holds no key of a type that is supported (AES, and the outdated RC4 and triple DES)")
	}
	return k, nil
}

// String lists the principals, not the keys.
func (k *Keytab) String() string {
	var names []string
	for _, p := range k.principals {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}
