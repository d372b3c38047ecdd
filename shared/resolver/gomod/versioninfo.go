package gomod

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/module"
)

// versionInfo is the part of a .info file that is kept.
type versionInfo struct {
	Version string
	Time    time.Time
}

// lockedInfo reduces a .info file to version and time. What is no such file is passed on as it is: go
// says what is wrong with it.
func lockedInfo(raw []byte) []byte {
	var info versionInfo
	if json.Unmarshal(raw, &info) != nil || info.Version == "" {
		return raw
	}
	return info.encode()
}

func (i versionInfo) encode() []byte {
	out, err := json.Marshal(versionInfo{Version: i.Version, Time: i.Time.UTC()})
	if err != nil {
		return []byte(fmt.Sprintf("{\"Version\":%q}", i.Version)) // a year beyond 9999
	}
	return out
}

func pseudoInfo(name string) []byte {
	_, rest, _ := strings.Cut(name, "/@v/")
	v, err := module.UnescapeVersion(strings.TrimSuffix(rest, ".info"))
	if err != nil || !module.IsPseudoVersion(v) {
		return nil
	}
	at, err := module.PseudoVersionTime(v)
	if err != nil {
		return nil
	}
	return versionInfo{Version: v, Time: at}.encode()
}
