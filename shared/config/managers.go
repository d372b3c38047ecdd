package config

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// forManager is the set function of a setting that one package manager's resolver reads under key. check
// returns the value in the form in which resolvers get it.
func forManager(name, key string, check func(value string) (string, error)) func(*Config, string) error {
	return func(c *Config, value string) error {
		checked, err := check(value)
		if err != nil {
			return err
		}
		c.manager(name, key, checked)
		return nil
	}
}

// line is any text without line breaks.
func line(v string) (string, error) {
	var out string
	err := text(&out, v)
	return out, err
}

// truth is "true" or "false".
func truth(v string) (string, error) {
	var b bool
	err := boolean(&b, v)
	return strconv.FormatBool(b), err
}

// baseURL is an http or https URL that ends in a slash, without user info (credentials have settings of
// their own), query and fragment.
func baseURL(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("an http or https URL without user info, query and fragment")
	}
	return strings.TrimSuffix(v, "/") + "/", nil
}

// optionalURL is a baseURL, or nothing.
func optionalURL(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	return baseURL(v)
}

// names is a JSON array of texts.
func names(v string) (string, error) {
	var out []string
	if err := list(&out, v); err != nil {
		return "", err
	}
	data, err := json.Marshal(append([]string{}, out...)) // "[]", never "null"
	return string(data), err
}

// nameLists is a JSON object of arrays of texts.
func nameLists(v string) (string, error) {
	var lists map[string][]string
	if err := json.Unmarshal([]byte(v), &lists); err != nil {
		return "", errors.New(`a JSON object of arrays, {"package": ["dependency"]}`)
	}
	data, err := json.Marshal(lists)
	return string(data), err
}
