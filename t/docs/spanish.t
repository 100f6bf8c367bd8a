# The Spanish pages: each says which English page it follows, has its blocks, commands
# and configurations, word for word, and leads to places that are there.

use strict;
use warnings;

use File::Basename qw(basename);
use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root slurp);

chdir $Root or die "$Root: $!\n";

# blocks(TEXT): with their language

sub blocks { return $_[0] =~ /^(```\w*\n.*?^```)$/msg }

# what is only a part of its page

my %part = ('troubleshooting.md' => 1);

for my $file (sort(glob 'docs/es/*.md')) {
    my $text = slurp($file);
    my $name = basename($file);

    my ($part, $from) = $text =~ /\A\#\ .+\n\n\*Traducción\ de\ (partes\ de\ )?
                                  \[[^\]]+\]\(([^)]+)\)/x;

    ok(defined $from, "$file says which page it follows") or next;
    is(basename($from), $name, "$file has that page's name");
    is(defined $part ? 1 : 0, $part{$name} // 0, "$file: whether it is a part");

    my $english = slurp("docs/es/$from");
    my @blocks  = blocks($text);
    my @of      = blocks($english);

    cmp_ok(scalar @blocks, '>', 0, "$file has blocks");

    if ($part) {
        my %of = map { $_ => 1 } @of;

        is_deeply([grep { !$of{$_} } @blocks], [], "$file: its blocks are those of $from");

        my %section = map { $_ => 1 } $english =~ /^## (\w+)$/mg;

        is_deeply([grep { !$section{$_} } $text =~ /^## (\w+)$/mg], [],
                  "$file: its keys are those of $from");
        is(scalar(() = $text =~ /^## [A-Z_]+$/mg), 10, "$file: the ten commonest");

    } else {
        is_deeply(\@blocks, \@of, "$file: its blocks are those of $from");

        # as many sections, but for what the table of directives and the links are

        is(scalar(() = $text =~ /^## /mg), scalar(() = $english =~ /^## /mg),
           "$file: as many sections") unless $name eq 'README.md';
    }
}

is(scalar(my @pages = glob 'docs/es/*.md'), 5, 'the pages are found');

done_testing();
