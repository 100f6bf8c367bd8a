package Jelou::Cases;

=head1 NAME

Jelou::Cases - many requests to one endpoint, each with its answer, its log and
its event, in one block

=head1 SYNOPSIS

    use lib 't/lib';
    use Jelou 'no_plan';
    use Jelou::Cases (
        path     => '/webhook',
        location => 'location = /webhook',
        endpoint => 'message',
        secret   => 1,
    );

    our $message = template(
        '/timestamp' => 1776134278574, '/contact/id' => '"u-1"',
    );

    run_tests();

    __DATA__

    === an id
    --- directives
    jelou_strict on;
    --- cases eval
    [
        accepted($message->(), '{"timestamp":...}', 'accepted m-1'),
        invalid($message->('/contact/id' => '5'),
                ['/contact/id' => 'must be a string']),
        refused($message->(), '404 NOT_FOUND', path => '/other'),
    ]

=head1 DESCRIPTION

The requests of a block's C<cases> are sent on one connection.  Checked are the
answers, the texts of all violations, the bodies at the upstream, in order, and
the error log: all lines of the module, and all others from the level error on.
A block's C<log> has those lines instead, as C<[LEVEL] TEXT>.

Without a C<config> section, the block has the location of the C<use>, with its
C<jelou_endpoint>, with a C<jelou_secret> if C<secret> is set, with
C<proxy_pass http://app>, and with the block's C<directives>.  Without C<secret>
requests are not signed.

=head1 FUNCTIONS

The options are those of C<post()>, which in C<path> has the C<path> of the
C<use>; and C<log>, what the module logs instead of what it should, or undef.

=over

=item accepted(BODY, EVENT, REPLY, OPTIONS)

REPLY is a line of Jelou's C<reply>.

=item invalid(BODY, [POINTER => TEXT, ...], OPTIONS)

The answer is 422 INVALID_EVENT with exactly these violations, and the log names
the first.  With the option C<logged> the log has this pointer instead.

=item refused(BODY, REPLY, OPTIONS)

With the option C<log> the log has this instead of the key.

=item template(POINTER => VALUE, ...)

Returns a function that writes JSON, compact and with the members in this order.
Its arguments are other values for some pointers: JSON, or undef, which leaves
the member out.  Pointers that are new become members at the end of their
object.  A number in a pointer is an index.

=item twice(NAME, VALUE, OTHER)

A value for a template that makes its member stand there twice.

=item shuffled(JSON)

The same members in three other orders, and with white space.

=back

=cut

use strict;
use warnings;

use JSON::PP ();
use Test::More ();

our @EXPORT = qw(accepted invalid refused template twice shuffled);

my %use;


sub import {
    my $class = shift;

    %use = (%use, @_);

    no strict 'refs';
    *{ caller() . "::$_" } = \&$_ for @EXPORT;
}


sub accepted {
    my ($body, $event, $reply, %options) = @_;

    return { body => $body, event => $event, reply => $reply,
             options => \%options };
}


sub invalid {
    my ($body, $violations, %options) = @_;

    my ($first, $text) = @$violations;
    my %texts = @$violations;

    my $n      = keys %texts;
    my $s      = $n == 1 ? '' : 's';
    my $logged = delete $options{logged} // $first;

    return refused($body, join(' ', '422 INVALID_EVENT',
                               map { s/^$/#/r } keys %texts),
        log        => "INVALID_EVENT: $n violation$s, the first at "
                      . "\"$logged\": " . $text =~ s/"/\\"/gr,
        violations => \%texts,
        %options);
}


sub refused {
    my ($body, $reply, %options) = @_;

    my ($key) = $reply =~ /^\d+ (\S+)/;
    my $level = $key =~ /^SIGNATURE/ ? 'warn' : 'info';
    my $log   = delete $options{log} // $key;

    return { body => $body, reply => $reply,
             log => "[$level] jelou refused a request: $log\n",
             violations => delete $options{violations},
             options => \%options };
}


sub template {
    my @order = @_[grep { $_ % 2 == 0 } 0 .. $#_];
    my %value = @_;

    return sub {
        my %v = (%value, @_);
        my (%inner, %known);

        # the members of each object, in order

        for my $at (@order, grep { !exists $value{$_} }
                            @_[grep { $_ % 2 == 0 } 0 .. $#_])
        {
            my $rest = $at;

            while ($rest =~ s{/([^/]*)\z}{}) {
                last if $known{"$rest/$1"}++;
                push @{ $inner{$rest} }, $1;
            }
        }

        return write_json('', \%v, \%inner);
    };
}


sub write_json {
    my ($at, $value, $inner) = @_;

    return $value->{$at} if exists $value->{$at};

    my @names   = @{ $inner->{$at} // [] };
    my @members = grep { defined $_->[1] }
                  map { [$_, write_json("$at/$_", $value, $inner)] } @names;

    return '[' . join(',', map { $_->[1] } @members) . ']'
        if @names && !grep { /\D/ } @names;

    return '{' . join(',', map { qq("$_->[0]":$_->[1]) } @members) . '}';
}


sub twice {
    my ($name, $value, $other) = @_;

    return qq($value,"$name":$other);
}


sub shuffled {
    my $json = shift;

    my $value = JSON::PP->new->decode($json);
    my $coder = JSON::PP->new->pretty;

    return (
        $coder->sort_by(sub { $JSON::PP::a cmp $JSON::PP::b })->encode($value),
        $coder->sort_by(sub { $JSON::PP::b cmp $JSON::PP::a })->encode($value),
        $coder->space_before(0)->space_after(0)->indent(0)->sort_by(sub {
            reverse($JSON::PP::a) cmp reverse($JSON::PP::b)
        })->encode($value) =~ s{("(?:[^"\\]|\\.)*")|([:,\[\]\{\}])}
                               {$1 // "\t$2\r\n"}ger,
    );
}


sub default_config {
    my $directives = shift;

    my $secret = $use{secret} ? 'jelou_secret "$TEST_NGINX_SECRET";' : '';

    return <<"END";
$use{location} {
    jelou_endpoint  $use{endpoint};
    $secret
    proxy_pass      http://app;
$directives
}
END
}


Test::Nginx::Util::add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value(config => default_config($block->directives // ''))
        if !defined $block->config && defined $use{location};

    my $cases = $block->cases or return;

    my %default = (path => $use{path});
    $default{signature} = undef unless $use{secret};

    my @requests = map {
        my $case = $cases->[$_];
        Jelou::post($case->{body}, %default, %{ $case->{options} },
                    keepalive => $_ < $#$cases)
    } 0 .. $#$cases;

    my %section = (
        @requests > 1 ? (requests => \@requests)
                      : (raw_request => $requests[0]),
        reply       => join("\n", map { $_->{reply} } @$cases),
        upstream    => [map { $_->{event} // () } @$cases],
        log         => join('', map { $_->{log} // () } @$cases),
    );

    for my $name (keys %section) {
        $block->set_value($name => $section{$name})
            unless defined $block->$name;
    }
});


Test::Nginx::Util::add_test_cleanup_handler(sub {
    my $block = shift;

    return unless defined $block->log && !defined $block->must_die;

    open my $in, '<', $Test::Nginx::Util::ErrLogFile or die $!;

    my $log = join '', map {
        my ($level, $text) = /(\[\w+\]) \S+ (?:\*\d+ )?(.*?)(?:, client: |$)/;
        $text =~ /^jelou/ || $level !~ /debug|info|notice|warn/
            ? "$level $text\n" : ();
    } <$in>;

    # What of many lines is not as it should be can be told from the first.

    my @got  = split /^/, $log;
    my @want = split /^/, $block->log;
    my ($i)  = grep { ($got[$_] // '') ne ($want[$_] // '') } 0 .. @got + @want;

    Test::More::is($i // 'as it should be', 'as it should be',
                   $block->name . ' - log')
        or Test::More::diag('line ', $i + 1, ":\n", $got[$i] // "none\n",
                            "expected:\n", $want[$i] // "none\n");
});


Test::Nginx::Socket::add_response_body_check(sub {
    my ($block, $body, $i) = @_;

    my $case = ($block->cases // [])->[$i] or return;
    my $want = $case->{violations} or return;
    my $json = eval { JSON::PP->new->decode($body) } // {};

    Test::More::is_deeply($json->{validationError}, $want,
                          $block->name . " - violations $i")
        or Test::More::diag("the request: $case->{body}");
});


1;
