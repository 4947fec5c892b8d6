//! Ottla's metadata log: entries, snapshots, hard state.

use std::path::Path;

use ottla_quorum::look::{EntryId, MetadataFile, Piece, look};
use ottla_wire::Shown;

use crate::{
    Shows,
    metadata::record_fields,
    out::{Fields, Out},
    read,
};

pub(crate) fn show(file: MetadataFile, path: &Path, out: &mut Out<'_>) -> Shows {
    let bytes = read(path)?;
    for (position, piece) in look(file, &bytes) {
        match piece {
            Ok(piece) => show_piece(&piece, position, out)?,
            Err(error) => out.damage(Some(position), &error)?,
        }
    }
    Ok(())
}

fn show_piece(piece: &Piece, position: u64, out: &mut Out<'_>) -> Shows {
    let position = ("position", Shown::Number(position as i64));
    let head =
        |id: &EntryId| -> Fields { vec![("index", number(id.index)), ("term", number(id.term)), position.clone()] };
    let voters = |voters: &[u64]| ("voters", Shown::List(voters.iter().copied().map(number).collect()));
    match piece {
        Piece::Blank(id) => out.row("leader", 0, &head(id))?,
        Piece::Membership(id, members) => {
            let mut fields = head(id);
            fields.push(voters(members));
            out.row("membership", 0, &fields)?;
        }
        Piece::Changes(id, records) => {
            let mut fields = head(id);
            fields.push(("count", (records.len() as i64).into()));
            out.row("changes", 0, &fields)?;
            for record in records {
                out.row("record", 1, &record_fields(record))?;
            }
        }
        Piece::SnapshotHead(id, members, pieces) => {
            let mut fields = head(id);
            fields.extend([voters(members), ("pieces", number(*pieces))]);
            out.row("snapshot", 0, &fields)?;
        }
        Piece::SnapshotRecords(records) => {
            out.row("records", 0, &vec![position, ("count", (records.len() as i64).into())])?;
            for record in records {
                out.row("record", 1, &record_fields(record))?;
            }
        }
        Piece::HardState { node, vote, purged, durable } => {
            let place = |id: &Option<EntryId>| match id {
                None => Shown::Null,
                Some(id) => Shown::Fields(vec![("index", number(id.index)), ("term", number(id.term))]),
            };
            let vote = vote.map_or(Shown::Null, |(term, candidate)| {
                Shown::Fields(vec![("term", number(term)), ("candidate", number(candidate))])
            });
            let fields =
                vec![("node", number(*node)), ("vote", vote), ("purged", place(purged)), ("durable", place(durable))];
            out.row("hardState", 0, &fields)?;
        }
    }
    Ok(())
}

fn number(value: u64) -> Shown {
    Shown::Number(i64::try_from(value).unwrap_or(i64::MAX))
}
