package kerberos

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/addrtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// What gokrb5 has no names for: RFC 8062, 3, and RFC 6111.
const (
	flagAnonymous  = 16
	anonymousRealm = "WELLKNOWN:ANONYMOUS"
	maxMicrosecond = 999_999
)

// check does what RFC 4120, 3.2.3, asks of a service, and gives the client's name. The ticket comes first:
// until it is decrypted, nothing of the request is known to be anybody's word.
func (a *Acceptor) check(r *messages.APReq, remote string) (string, error) {
	if r.PVNO != iana.PVNO || r.Ticket.TktVNO != iana.PVNO {
		return "", fmt.Errorf("the token is of Kerberos version %d, its ticket of %d; want %d", r.PVNO, r.Ticket.TktVNO, iana.PVNO)
	}
	if flag(r.APOptions, flags.APOptionUseSessionKey) {
		return "", errors.New("the ticket is of the user-to-user kind, which is not supported")
	}
	service := fmt.Sprintf("%q@%q", r.Ticket.SName.NameString, r.Ticket.Realm)
	if len(r.Ticket.SName.NameString) == 0 || !a.serves(r.Ticket.SName, r.Ticket.Realm) {
		return "", fmt.Errorf("the ticket is for %s, and this is %q", service, a.Services())
	}
	if err := r.Ticket.DecryptEncPart(a.keytab.keys, nil); err != nil {
		return "", fmt.Errorf("the ticket for %s, key version %d and type %d, cannot be decrypted with the keytab: %w", service, r.Ticket.EncPart.KVNO, r.Ticket.EncPart.EType, err)
	}
	ticket := &r.Ticket.DecryptedEncPart
	now := a.clock()
	if err := a.checkTicket(ticket, now, remote); err != nil {
		return "", fmt.Errorf("ticket of %q@%q: %w", ticket.CName.NameString, ticket.CRealm, err)
	}
	user, err := userName(ticket.CName, ticket.CRealm)
	if err != nil {
		return "", err
	}
	if err := r.DecryptAuthenticator(ticket.Key); err != nil {
		return "", fmt.Errorf("ticket of %s, sent by somebody who does not have its key: %w", user, err)
	}
	if err := a.checkAuthenticator(r, ticket, now); err != nil {
		return "", fmt.Errorf("authenticator of %s: %w", user, err)
	}
	if err := a.checkRealm(ticket, r.Ticket.Realm); err != nil {
		return "", fmt.Errorf("ticket of %s: %w", user, err)
	}
	// Last, so that only clients that would be let in take memory.
	if err := a.replays.add(digestOf(r), now, madeAt(&r.Authenticator).Add(a.skew)); err != nil {
		return "", fmt.Errorf("authenticator of %s: %w", user, err)
	}
	return user, nil
}

// checkTicket looks at what the KDC wrote: when the ticket holds, whether it is one, and where from.
func (a *Acceptor) checkTicket(t *messages.EncTicketPart, now time.Time, remote string) error {
	start := t.StartTime
	if start.IsZero() {
		start = t.AuthTime
	}
	switch {
	case start.Sub(now) > a.skew:
		return fmt.Errorf("it holds from %s on, and now is %s", stamp(start), stamp(now))
	case now.Sub(t.EndTime) > a.skew:
		return fmt.Errorf("it held until %s, and now is %s", stamp(t.EndTime), stamp(now))
	case flag(t.Flags, flags.Invalid):
		return errors.New("it is not valid before its KDC says so (postdated)")
	case flag(t.Flags, flagAnonymous), t.CRealm == anonymousRealm:
		return errAnonymous
	case len(t.CAddr) > 0 && !slices.ContainsFunc(t.CAddr, func(h types.HostAddress) bool { return isAddress(h, remote) }):
		return fmt.Errorf("it is bound to addresses, and %q is none of them", remote)
	}
	return nil
}

// checkAuthenticator looks at what the client made: that it means itself and was made just now. The realm is
// part of who it is: users of other realms may have the same name.
func (a *Acceptor) checkAuthenticator(r *messages.APReq, t *messages.EncTicketPart, now time.Time) error {
	by := &r.Authenticator
	if !by.CName.Equal(t.CName) || by.CRealm != t.CRealm {
		return fmt.Errorf("it names %q@%q", by.CName.NameString, by.CRealm)
	}
	if by.Cusec < 0 || by.Cusec > maxMicrosecond {
		return fmt.Errorf("its time has %d microseconds", by.Cusec)
	}
	if made := madeAt(by); made.Sub(now).Abs() > a.skew {
		return fmt.Errorf("it was made at %s, and now is %s: clocks may differ by %s", stamp(made), stamp(now), a.skew)
	}
	return nil
}

// checkRealm decides on users of other realms. Their tickets came through the KDCs of realms in between,
// any of which could have made them up, so somebody must have checked the way: the service's own KDC says
// whether it did. (RFC 4120, 2.7 and 3.3.3.2.)
func (a *Acceptor) checkRealm(t *messages.EncTicketPart, own string) error {
	if len(a.realms) > 0 && !slices.Contains(a.realms, t.CRealm) {
		return fmt.Errorf("users of realm %q are not let in", t.CRealm)
	}
	if t.CRealm != own && len(t.Transited.Contents) > 0 && !flag(t.Flags, flags.TransitedPolicyChecked) {
		return fmt.Errorf("it came by way of other realms (%q), which its KDC has not checked", t.Transited.Contents)
	}
	return nil
}

// flag reads a bit that may not be there; gokrb5's IsFlagSet panics then.
func flag(f asn1.BitString, i int) bool { return f.At(i) == 1 }

func madeAt(a *types.Authenticator) time.Time {
	return a.CTime.Add(time.Duration(a.Cusec) * time.Microsecond)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// isAddress compares a ticket's address with "192.0.2.1:4711", "[2001:db8::1]:4711" or one without a port.
func isAddress(h types.HostAddress, remote string) bool {
	ip, err := netip.ParseAddr(remote)
	if withPort, portErr := netip.ParseAddrPort(remote); portErr == nil {
		ip, err = withPort.Addr(), nil
	}
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	return (h.AddrType == addrtype.IPv4 && ip.Is4() || h.AddrType == addrtype.IPv6 && ip.Is6()) && slices.Equal(h.Address, ip.AsSlice())
}
